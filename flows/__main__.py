"""The command line: `tunekeeper COMMAND [CONFIG.yaml] [key=value ...] [--json]`."""

from __future__ import annotations

import argparse
import atexit
import gc
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from configs.credentials import clean_value, credential_in, mask_value, remedy_for
from configs.errors import InfraError, InputError
from flows.cli.process import exit_process, interrupt_on_sigterm, open_standard_streams, print_error, restart_in_utf8, write_output
from tasks.common.home import configured_home, settle_environment

Command = Callable[[argparse.Namespace], int]

OBJECTS = 50_000  # made between two searches for garbage: those that imports make stay, and searching them was a fifth of the start


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exit 0 when done, 2 where the input is at fault, 128 + n when stopped by signal n, 1 for anything else."""
    if arguments is None:
        open_standard_streams()
        restart_in_utf8()
    gc.set_threshold(OBJECTS)
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if stray := [word for word in rest if word.startswith("-") or "=" not in word or not hasattr(options, "overrides")]:
        parser.error(f"unrecognized arguments: {' '.join(map(mask_value, stray))}")
    if rest:  # argparse takes no more positionals once it has met an option
        options.overrides = [*options.overrides, *rest]
    code = [1]
    if arguments is None:
        atexit.register(exit_process, code)  # registered before any library's own, so it runs after them all
    code[0] = _run_command(options.command, options)
    sys.exit(code[0])


def _refuse_credentials(options: argparse.Namespace) -> None:
    """Refuse a command that holds a credential, or no text: Prefect would keep it with the run, the shell keeps its history."""
    for name, value in vars(options).items():
        words = value if isinstance(value, list) else [] if name == "id" else [value]  # an id, of a row to find, is not stored
        for word in map(str, words):
            if word != word.encode(errors="ignore").decode():
                raise InputError(f"{name} {word!a}: holds bytes that are no UTF-8: write it in UTF-8, or rename the file")
            key, equals, text = word.partition("=") if name in ("overrides", "configs") else ("", "", word)
            if (credential := credential_in(text)) is not None:
                fault = f"holds {credential}, which would be kept with the run: leave it out"
                raise InputError(f"{name} {key}{equals}{mask_value(text)}: {fault}; {remedy_for(text)}")


def _run_command(command: Command, options: argparse.Namespace) -> int:
    try:
        if command is not _schema:
            _check_working_folder()
            settle_environment(configured_home())  # before a command imports Prefect, which reads the environment once
        with interrupt_on_sigterm():
            _refuse_credentials(options)
            return command(options)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  (the last resort: one line for the user, the traceback behind --debug)
        return print_error(error, options.debug)


def _check_working_folder() -> None:
    """Refuse to begin in a folder that was removed: libraries ask for it, and their errors name something else."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise InfraError("the working folder is no longer there: go to one that is (cd), and run the command again") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("tunekeeper", description="Keeps fine-tuned language models in tune with the data they serve.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")

    def add(name: str, command: Command, help: str, *, config: bool = True) -> argparse.ArgumentParser:
        subparser = commands.add_parser(name, parents=[common], help=help, description=help)
        subparser.set_defaults(command=command)
        if config:
            subparser.add_argument("config", type=Path, help="the pipeline's YAML file")
            subparser.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change, such as training.seed=1")
        return subparser

    def optional(subparser: argparse.ArgumentParser, effect: str) -> None:
        subparser.add_argument("config", type=Path, nargs="?", help=f"the pipeline's YAML file: {effect}")
        subparser.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change")

    _add_init_options(add("init", _init, "begin a pipeline: propose a config and a contract for rows", config=False))
    add("retrain", _retrain, "prepare, validate, train, evaluate, decide and release, doing only what is new")
    add("monitor", _monitor, "look at the champion's traffic, and say what changed")
    score = add("score", _score, "answer all rows of a file, a folder or a table with the champion")
    score.add_argument(
        "--input",
        required=True,
        help="what data.source may be too: a file, a folder, an address, a table: DIALECT://HOST/DATABASE/TABLE",
    )
    score.add_argument(
        "--output", required=True, help="the Parquet file of the result; killed on the way, the same command goes on"
    )
    score.add_argument("--version", help="score with this version; default: the champion")
    add("promote", _promote, "make a version the champion, as a person, with a reason").add_argument("--version", required=True)
    add("rollback", _rollback, "go back to the champion before this one").add_argument("--to", help="or to this version")
    help = "make a model that was fine-tuned elsewhere a version, and the champion: checked, and scored on the test rows"
    add("adopt", _adopt, help).add_argument(
        "--model", type=Path, required=True, help="its folder, as save_pretrained wrote it, with its tokenizer; adapters merged"
    )
    for name in ("promote", "rollback", "adopt"):
        commands.choices[name].add_argument("--reason", default="", help="kept in the ledger")
        commands.choices[name].add_argument("--who", help="your name, kept in the ledger too; default: the user you are here")
    add("history", _history, "promotions and rollbacks of a model")
    find = add(
        "find", _find, "where the row of an id is: in the source, in a split of a snapshot or in none and why; and its scores"
    )
    find.add_argument("--id", required=True, help="as the source has it, or the pseudonym that it is kept as: <ID:...>")
    add("report", _report, "draw the report of the last decision again and say where it is")
    add("draft-contract", _draft, "draft a suite of expectations from the data").add_argument("--output", type=Path)
    serve = add("serve", _serve, "answer with the champion over HTTP, and follow it")
    serve.add_argument("--host", help="the address to listen on; default: 127.0.0.1, this machine alone")
    serve.add_argument("--port", type=int, help="default: $TUNEKEEPER_SERVE_PORT, else 8000")
    deploy = add("deploy", _deploy, "put schedules and triggers into effect: Prefect's deployments and automations", config=False)
    deploy.add_argument("configs", nargs="+", metavar="CONFIG", help="each pipeline's YAML file; key=value changes all of them")
    up = add("up", _up, "MLflow, Prefect, a worker and, with a config, the service on this machine, until Ctrl-C", config=False)
    optional(up, "its champion is served too")
    for name, variable in (("", "SERVE"), ("mlflow-", "MLFLOW"), ("prefect-", "PREFECT")):
        up.add_argument(f"--{name}port", type=int, help=f"default: $TUNEKEEPER_{variable}_PORT, else the usual one")
    optional(
        add("doctor", _doctor, "what is wrong here, and how to mend it", config=False),
        "its base and data are looked at too",
    )
    mend = add(
        "reconcile", _reconcile, "find and put right what died: runs, half-written files, an unfinished promotion", config=False
    )
    optional(mend, "its ledger and alias are brought together too")
    mend.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    add("schema", _schema, "the JSON schema of a pipeline", config=False)
    return parser


def _add_init_options(init: argparse.ArgumentParser) -> None:
    init.add_argument("name", metavar="NAME", help="of the model that is kept: NAME.yaml and NAME.contract.json are written")
    init.add_argument("--data", required=True, help="the rows: what data.source may be, a file, a folder, a glob, a table, ...")
    init.add_argument("--problem", help="what the model does (`tunekeeper schema` lists them); default: proposed from the columns")
    init.add_argument("--base", help="what to start from: a folder, package:NAME/FOLDER, a hub name; default: the bundled encoder")


def _load(options: argparse.Namespace) -> Any:
    from configs.load import load_pipeline

    return load_pipeline(options.config, options.overrides)


def _print(options: argparse.Namespace, value: dict[str, object]) -> None:
    if options.json:
        write_output(json.dumps(clean_value(value), ensure_ascii=False))


def _init(options: argparse.Namespace) -> int:
    from flows.cli.init import init_pipeline
    from tasks.proposed_config import Request

    request = Request(options.name, options.data, options.problem, options.base)
    _print(options, init_pipeline(request, quiet=options.json))
    return 0


def _retrain(options: argparse.Namespace) -> int:
    from flows.cli.launch import run_retrain

    outcome = run_retrain(_load(options), options.config, quiet=options.json)
    _print(options, outcome)
    return 0


def _monitor(options: argparse.Namespace) -> int:
    from flows.cli.launch import run_monitor

    _print(options, run_monitor(_load(options), options.config, quiet=options.json))
    return 0


def _score(options: argparse.Namespace) -> int:
    from flows.cli.launch import run_score

    _print(options, run_score(_load(options), options.input, options.output, options.version, quiet=options.json))
    return 0


def _promote(options: argparse.Namespace) -> int:
    from flows.cli.promote import promote_by_hand

    _print(options, promote_by_hand(_load(options), options.config, options.version, options.reason, options.who))
    return 0


def _adopt(options: argparse.Namespace) -> int:
    from flows.cli.launch import run_adopt

    _print(options, run_adopt(_load(options), options.config, options.model, options.reason, options.who, quiet=options.json))
    return 0


def _rollback(options: argparse.Namespace) -> int:
    from flows.cli.promote import roll_back

    _print(options, roll_back(_load(options), options.config, options.to, options.reason, options.who))
    return 0


def _history(options: argparse.Namespace) -> int:
    from flows.cli.history import show_history

    _print(options, show_history(_load(options), options.config))
    return 0


def _find(options: argparse.Namespace) -> int:
    from flows.cli.find import find_row

    _print(options, find_row(_load(options), options.config, options.id, quiet=options.json))
    return 0


def _report(options: argparse.Namespace) -> int:
    from flows.cli.history import redraw_report

    _print(options, redraw_report(_load(options)))
    return 0


def _draft(options: argparse.Namespace) -> int:
    from flows.cli.draft_contract import draft_contract

    _print(options, draft_contract(_load(options), options.output))
    return 0


def _serve(options: argparse.Namespace) -> int:
    from flows.cli.serve import serve_champion

    serve_champion(_load(options), options.host, options.port)
    return 0


def _up(options: argparse.Namespace) -> int:
    from flows.local.up import run_services

    ports = {"service": options.port, "MLflow": options.mlflow_port, "Prefect": options.prefect_port}
    run_services(options.config, options.overrides, ports, as_json=options.json)
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from flows.cli.doctor import run_doctor

    outcome = run_doctor(_load(options) if options.config else None, quiet=options.json)
    _print(options, outcome)
    return 0 if outcome["ok"] else 1


def _reconcile(options: argparse.Namespace) -> int:
    from flows.reconcile import put_right

    outcome = put_right(_load(options) if options.config else None, dry_run=options.dry_run, quiet=options.json)
    _print(options, outcome)
    return 0 if outcome["ok"] else 1


def _deploy(options: argparse.Namespace) -> int:
    from flows.deploy.apply import deploy_pipelines

    overrides = [word for word in options.configs if "=" in word and not Path(word).exists()]
    configs = [Path(word) for word in options.configs if word not in overrides]
    if not configs:
        raise InputError("deploy: no config is named: write tunekeeper deploy CONFIG.yaml [CONFIG.yaml ...]")
    _print(options, deploy_pipelines(configs, overrides))
    return 0


def _schema(_: argparse.Namespace) -> int:
    from configs.schema import Pipeline

    write_output(json.dumps(Pipeline.model_json_schema(), indent=1))
    return 0


if __name__ == "__main__":
    main()
