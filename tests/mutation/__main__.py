"""`python -m tests.mutation [GROUP ...]`: mutate groups of modules, and compare survivors with docs/mutants.md."""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = ROOT / "docs" / "mutants.md"
_ROW = re.compile(r"^\| `(?P<function>vault\.[^`]+)` \| `+ ?(?P<change>.+?) ?`+ \| (?P<reason>[^|]+) \|$")
# vault.pan.xǁPANǁ__init____mutmut_5 and vault.pan.x_mask__mutmut_2
_NAME = re.compile(r"^(?P<module>[\w.]+)\.x(?:ǁ(?P<owner>\w+)ǁ|_)(?P<function>\w+)__mutmut_\d+$")
_FOUND = re.compile(r"^\s*(?P<name>\S+__mutmut_\d+): (?P<status>[\w ]+)$")
# Whatever a session needs that mutmut does not copy by itself.
_COPIED = ("billing", "orders", "templates", "static", "locale", "docs", "clients", "deploy", "manage.py", "README.md")

# Each group is mutated by itself and tried with tests of its own: those that are about it, and no more.
GROUPS: dict[str, tuple[str, list[str]]] = {
    "pan": ("vault/pan.py", ["vault/test_pan.py"]),
    "tokens": ("vault/tokens.py", ["vault/test_tokens.py"]),
    "fingerprints": ("vault/fingerprints.py", ["vault/test_fingerprints.py"]),
    # One right stands for all of them.
    "policy": ("vault/policy.py", ["vault/test_policy.py", "-k=not test_everybody_else or detokenize_pan"]),
    "records": ("vault/records.py", ["vault/test_records.py"]),
    "redaction": (
        "vault/redaction/*.py",
        ["vault/test_redaction.py", "vault/test_forbidden_keys.py", "vault/test_redacted_records.py"],
    ),
    "services": (
        "vault/services.py",
        [
            *(
                "vault/test_services.py",
                "vault/test_erasure.py",
                "vault/test_retention.py",
                "vault/api/test_batches.py",
            ),
            "vault/test_acceptance.py::test_no_caller_gets_a_real_number_into_the_vault",
        ],
    ),
}


@dataclass
class Result:
    """What became of the mutants of a group."""

    counts: Counter = field(default_factory=Counter)
    survivors: dict[tuple[str, str], str] = field(default_factory=dict)
    late: list[str] = field(default_factory=list)
    seconds: float = 0.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"some of {', '.join(GROUPS)}; all if none is given")
    parser.add_argument("--children", type=int, default=2, help="how many mutants are tried at once (2)")
    parser.add_argument("--only", default=[], nargs="*", help="names of mutants, such as 'vault.policy.x_authorize*'")
    parser.add_argument("--mutmut", default=str(Path(sys.executable).with_name("mutmut")), help="the program")
    options = parser.parse_args()
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    unlisted = 0
    for group in options.groups or GROUPS:
        result = mutate(group, mutmut=options.mutmut, children=options.children, only=options.only)
        unlisted += tell(group, result, set() if options.only else accepted(group))
    return 1 if unlisted else 0


def tell(group: str, result: Result, listed: set[tuple[str, str]]) -> int:
    """Say what became of a group, and give the number of survivors that are not on the list."""
    counts = ", ".join(f"{count} {status}" for status, count in sorted(result.counts.items()))
    print(f"{group}: {counts} in {result.seconds:.0f} s", flush=True)
    for name in result.late:
        print(f"  did not end, and counts as found: {name}", flush=True)
    unlisted = {each: name for each, name in result.survivors.items() if each not in listed}
    for (function, change), name in unlisted.items():
        print(f"  survived: {function}: {change} ({name})", flush=True)
    for function, change in sorted(listed - set(result.survivors)):
        print(f"  survived no more, to be taken off docs/mutants.md: {function}: {change}", flush=True)
    return len(unlisted)


def accepted(group: str) -> set[tuple[str, str]]:
    """The survivors of a group that do not matter, as docs/mutants.md lists them."""
    module = GROUPS[group][0].removesuffix(".py").removesuffix("/*").replace("/", ".") + "."
    rows = filter(None, map(_ROW.match, LIST.read_text().splitlines()))
    found = {(row["function"], row["change"].replace("\\|", "|")) for row in rows}
    return {(function, change) for function, change in found if function.startswith(module)}


def mutate(group: str, *, mutmut: str, children: int, only: list[str]) -> Result:
    """Mutate one group in a folder of its own, so that nothing of an earlier run counts."""
    sources, tests = GROUPS[group]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("vault", "tests", "pyproject.toml", *_COPIED):
            (folder / name).symlink_to(ROOT / name)
        (folder / "setup.cfg").write_text(_configuration(sources, tests))
        environment = os.environ | {"DATA_DIR": str(folder / "data")}

        def call(*arguments: str) -> str:
            done = subprocess.run(
                [mutmut, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(f"mutmut {arguments[0]} failed:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")
            return done.stdout

        call("run", "--max-children", str(children), *only)
        result = Result(seconds=time.monotonic() - started)
        for line in call("results", "--all", "true").splitlines():
            # With some names given, the others are not tried.
            if (found := _FOUND.match(line)) and found["status"] != "not checked":
                result.counts[found["status"]] += 1
                if found["status"] == "timeout":
                    result.late.append(found["name"])
                if found["status"] not in ("killed", "timeout"):
                    result.survivors[_described(found["name"], call("show", found["name"]))] = found["name"]
        return result


def _configuration(sources: str, tests: list[str]) -> str:
    lists = {
        "source_paths": ["vault"],
        "only_mutate": [sources],
        "also_copy": list(_COPIED),
        "pytest_add_cli_args": [
            # Schemathesis is imported anew in each fork, and no test here asks for it.
            *("-p", "tests.mutation.plugin", "-p", "no:cacheprovider", "-p", "no:schemathesis"),
            *("--hypothesis-profile=mutants", "--tb=no", "--show-capture=no"),
            # It measures time, which mutants that are run beside it change as well.
            "--deselect=tests/vault/test_redaction.py::test_the_time_is_linear",
        ],
        "pytest_add_cli_args_test_selection": [each if each.startswith("-") else f"tests/{each}" for each in tests],
    }
    lines = [line for name, values in lists.items() for line in (f"{name}=", *(f"    {value}" for value in values))]
    # The time of fixtures is not in what mutmut expects, and on a busy machine a survivor would count as found.
    single = ["track_dependencies=false", "use_git_change_detection=false", "timeout_constant=10"]
    return "\n".join(["[mutmut]", *single, *lines, ""])


def _described(name: str, diff: str) -> tuple[str, str]:
    """Function and changed line: what a survivor is listed as, wherever it stands in its file."""
    parts = _NAME.match(name)
    assert parts
    function = ".".join(filter(None, [parts["module"], parts["owner"], parts["function"]]))
    added = [line[1:].strip() for line in diff.splitlines() if line.startswith("+") and not line.startswith("+++")]
    return function, " ⏎ ".join(added)


if __name__ == "__main__":
    sys.exit(main())
