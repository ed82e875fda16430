"""`leakrun attach PID`: measure a process that runs already, and let it go."""

from typing import Annotated

import typer

from runner.cli import options, screen
from runner.cli.run import adapted, measured, requested

DEFAULT = "pmap"


def attach(
    pid: Annotated[int, typer.Argument(metavar="PID", help="The process.")],
    profile: Annotated[
        str | None, typer.Option("-p", "--profile", metavar="NAME|FILE", help=f"A profile that can attach. [{DEFAULT}]")
    ] = None,
    output: options.OutputDirectory = None,
    runs_dir: options.RunsDir = None,
    every: options.Every = None,
    for_: Annotated[str | None, typer.Option("--for", metavar="DURATION", help="Let go after this long.")] = None,
    warmup: options.Warmup = None,
    children: options.Children = None,
    set_: options.Set = None,
    error_exitcode: options.ErrorExitcode = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    no_color: options.NoColor = False,
    config_file: options.ConfigFile = None,
) -> int:
    """Measure a process that runs already, and let it go.

    \b
      leakrun attach 4711                            which kind of memory grows; Ctrl-C lets go
      leakrun attach $(pidof redis-server) --every 5s --for 10m
      leakrun attach 4711 -p bpf --for 30s           which code allocates and does not free (root)
      leakrun attach 4711 -p heaptrack --for 5m      the same, with every allocation counted

    It is neither restarted nor ever ended: Ctrl-C, `leakrun stop` and --for let it go.
    Exit code: 0, or 3 where nothing was measured.
    """
    settings = options.settings(
        config_file,
        profile=profile,
        runs_dir=runs_dir,
        every=every,
        for_=for_,
        warmup=warmup,
        children=children,
        error_exitcode=error_exitcode,
        quiet=quiet,
        verbose=verbose,
        no_color=no_color,
    )
    from runner import attaching, pipeline

    for warning in settings.warnings if not settings.quiet else ():
        screen.say(warning)
    target = attaching.inspect_process(pid)
    chosen = adapted(pipeline.load_profile(settings.profile or DEFAULT, set_ or ()), settings)
    request = requested(target.argv, chosen, settings, output)._replace(target=target)
    return measured(request, settings)
