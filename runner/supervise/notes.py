"""What a look at the processes writes down: a sample of their memory, and their maps. Each within its share of a core."""

import time

from runner.supervise.family import Family, Member
from runner.supervise.keep import MapsKeeper, Sampler
from runner.supervise.schedule import Pace, sample_interval
from runner.supervise.telling import Teller

_MAPS = 0.2  # seconds at least between two looks at whose mappings have changed


class Notes:
    """What leakrun itself writes of a run's processes. A disk that takes none of it costs the notes, and not the run."""

    def __init__(
        self, family: Family, maps: MapsKeeper, sampler: Sampler, teller: Teller, sample_every: float | None = None
    ) -> None:
        self._sample_every = sample_every
        self._family, self._maps, self._sampler, self._teller = family, maps, sampler, teller
        self._sample, self._map = Pace(0.001), Pace(0.001)

    def take(self, now: float) -> None:
        """Write what is due; called at each look, so that the supervisor wakes up once for all."""
        self._take_sample(now)
        self._keep_maps(now)

    def _take_sample(self, now: float) -> None:
        if now < self._sample.due:
            return
        began = time.thread_time()
        self._teller.write("samples.csv", lambda: self._sampler.sample(now, self._family))
        self._sample.done(now, time.thread_time() - began, sample_interval(now, self._sample_every))

    def _keep_maps(self, now: float) -> None:
        for member in self._family.departed:
            self._keep(member)
        self._family.departed.clear()
        if now >= self._map.due and not self._family.young(now):
            began = time.thread_time()
            self.read_maps(changed_only=True)
            self._map.done(now, time.thread_time() - began, _MAPS)

    def read_maps(self, *, changed_only: bool = False) -> None:
        """Keep the maps of every process; with `changed_only` of those alone whose size has changed since."""
        for member in self._family.alive():
            if changed_only and member.virtual == member.maps_virtual and member.maps_kept:
                continue
            if self._family.read_maps(member):
                self._keep(member)
                member.maps_kept = True

    def _keep(self, member: Member) -> None:
        self._teller.write("maps/", lambda: self._maps.keep(member))
