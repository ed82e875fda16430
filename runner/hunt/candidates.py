"""Which profiles may be asked about a kind of finding, the cheapest first."""

from collections.abc import Sequence
from dataclasses import dataclass

from runner import backends, pipeline
from runner.backends.base import Backend
from runner.kinds import FindingKind
from runner.profile import Profile, shipped_names

FINER = {"massif": "massif-alloc"}  # for a program that ends before the clock has told growth from a start: by bytes allocated


@dataclass(frozen=True, slots=True)
class Candidate:
    """A profile that may be asked.

    sees    with its options
    linked  the program has the tool in it already
    """

    profile: Profile
    backend: Backend
    sees: frozenset[FindingKind]
    linked: bool = False

    @property
    def cost(self) -> tuple[bool, float]:
        """Sorts: what the program has in it first, then by how much slower the program is."""
        return not self.linked, self.backend.slowdown


def candidates(request: pipeline.Request) -> dict[FindingKind, list[Candidate]]:
    """By kind, a profile of each tool that sees it, the cheapest first. Raises LeakrunError where the program can't run."""
    shipped = [pipeline.load_profile(name) for name in sorted(shipped_names(), key=lambda name: (len(name), name))]
    linked = {name: _linked(backends.get(name), request) for name in {profile.backend for profile in shipped}}
    every = [_candidate(profile, linked[profile.backend]) for profile in shipped]
    usable = [each for each in every if each.sees and (each.backend.accounts or each.linked)]
    return {
        kind: sorted(
            {each.backend.name: _plainest(usable, each.backend, kind) for each in usable if kind in each.sees}.values(),
            key=lambda each: each.cost,
        )
        for kind in FindingKind
    }


def finer(candidate: Candidate) -> Candidate | None:
    """The same tool on a finer axis of time; None where it has none."""
    name = FINER.get(candidate.profile.name)
    return _candidate(pipeline.load_profile(name), candidate.linked) if name else None


def _linked(backend: Backend, request: pipeline.Request) -> bool:
    return backend.linked_in(pipeline.inspect(request, backend))


def _candidate(profile: Profile, linked: bool) -> Candidate:
    backend = backends.get(profile.backend)
    return Candidate(profile, backend, backend.seen_with(profile.options), linked)


def _plainest(every: Sequence[Candidate], backend: Backend, kind: FindingKind) -> Candidate:
    """The one that is called as the tool, or does the least besides; of those the shortest name."""
    able = [each for each in every if each.backend is backend and kind in each.sees]
    return min(able, key=lambda each: (each.profile.name != backend.name, len(each.sees)))
