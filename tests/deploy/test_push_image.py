"""deploy/push_image with a docker and an aws that write down what they are asked, and fail where a test wants it."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REGISTRY = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
REPOSITORY = f"{REGISTRY}/billing"
# `fail` holds the words of calls that fail, `digest` what the repository has under the tag.
PROGRAM = """#!/bin/bash
call="$(basename "$0") $*"
echo "$call" >> "$PLACE/calls"
while read -r words; do
	[[ $call != *"$words"* ]] || { echo "An error occurred" >&2; exit 1; }
done < "$PLACE/fail"
case $call in
*list-exports*) cat "$PLACE/export" ;;
*describe-images*) cat "$PLACE/digest" 2>/dev/null || { echo "ImageNotFoundException" >&2; exit 254; } ;;
*get-login-password*) echo "secret of the registry" ;;
*"docker login"*) cat > "$PLACE/password" ;;
*"docker push"*) echo "sha256:new" > "$PLACE/digest" ;;
*"docker run"*) exit "$(cat "$PLACE/findings")" ;;
esac
"""


class Place:
    """A checkout with one commit, and what the programs were asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkout = folder / "checkout"
        shutil.copytree(ROOT / "deploy" / "image", self.checkout / "deploy" / "image")
        shutil.copy(ROOT / "deploy" / "push_image", self.checkout / "deploy")
        for program in ("docker", "aws"):
            (folder / program).write_text(PROGRAM)
            (folder / program).chmod(0o755)
        self.write(fail="", export=f"{REPOSITORY}\n", findings="0")
        self.git("init", "--quiet")
        self.git("add", "--all")
        self.git("-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet", "--message", "First")
        self.commit = self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments):
        return subprocess.check_output(["git", *arguments], cwd=self.checkout, text=True)

    def write(self, **files):
        for name, content in files.items():
            (self.folder / name).write_text(f"{content}\n" if content else "")

    def push(self, *arguments, **variables):
        environment = {"PATH": f"{self.folder}:/usr/bin:/bin", "PLACE": str(self.folder), **variables}
        command = [self.checkout / "deploy" / "push_image", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def calls(self, *words):
        """The calls that have one of the words, in their order, each as its first two words."""
        calls = (self.folder / "calls").read_text().splitlines() if (self.folder / "calls").exists() else []
        return [" ".join(call.split()[:2]) for call in calls if any(word in call for word in words)]


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


CHANGES = ("build", "run", "login ", "push", "logout")


def test_the_image_of_the_commit_is_built_looked_at_and_pushed(place):
    done = place.push()
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["Image", f"{REPOSITORY}@sha256:new", "ImageTag", place.commit]
    assert place.calls(*CHANGES) == ["docker build", "docker run", "docker login", "docker push", "docker logout"]
    calls = (place.folder / "calls").read_text()
    assert f"--build-arg SOURCE_COMMIT={place.commit} --tag {REPOSITORY}:{place.commit}" in calls
    # Not as an argument, which every process of the machine could read.
    assert "secret of the registry" not in calls
    assert (place.folder / "password").read_text() == "secret of the registry\n"


def test_a_commit_that_is_there_is_left_alone(place):
    place.write(digest="sha256:old")
    done = place.push()
    assert (done.returncode, done.stdout.split()[1]) == (0, f"{REPOSITORY}@sha256:old")
    assert place.calls(*CHANGES) == []


@pytest.mark.parametrize("name", ["deploy/image/contents.py", "new.py"])
def test_what_is_not_committed_is_not_pushed(place, name):
    (place.checkout / name).write_text("changed")
    done = place.push()
    assert done.returncode == 1
    assert "not committed" in done.stderr
    assert place.calls("docker", "aws") == ["docker info"]


def test_an_image_with_findings_is_not_pushed(place):
    place.write(findings="1")
    done = place.push()
    assert (done.returncode, done.stdout) == (1, "")
    assert place.calls("login ", "push") == []


FAILURES = {
    "list-exports": "cannot be read",
    "describe-images": "cannot be read",
    "docker build": "",
    "get-login-password": "",
    "docker login": "",
    "docker push": "Run this again",
}


@pytest.mark.parametrize(("words", "said"), FAILURES.items(), ids=FAILURES)
def test_whatever_fails_nothing_is_said_to_be_there_and_the_next_run_goes_on(place, words, said):
    place.write(fail=words)
    done = place.push()
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert said in done.stderr
    place.write(fail="")
    assert place.push().stdout.split()[-1] == place.commit


def test_a_push_that_somebody_else_made_first_is_as_good(place):
    (place.folder / "docker").write_text(
        PROGRAM.replace('"sha256:new" > "$PLACE/digest"', '"sha256:theirs" > "$PLACE/digest"; exit 1')
    )
    done = place.push()
    assert (done.returncode, done.stdout.split()[1]) == (0, f"{REPOSITORY}@sha256:theirs")


@pytest.mark.parametrize(
    ("arguments", "export", "said"),
    [
        (["docker.io/library/billing"], "", "no address of a repository"),
        ([f"{REGISTRY}.evil.example/billing"], "", "no address of a repository"),
        ([], "None", "registry.yaml first"),
        ([], "", "registry.yaml first"),
    ],
)
def test_another_place_than_ecr_is_refused(place, arguments, export, said):
    place.write(export=export)
    done = place.push(*arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert place.calls(*CHANGES) == []


def test_the_region_is_that_of_the_repository(place):
    assert place.push(REPOSITORY.replace("eu-central-1", "eu-west-1"), AWS_REGION="eu-central-1").returncode == 0
    assert "--region eu-west-1" in (place.folder / "calls").read_text()
    assert "eu-central-1" not in (place.folder / "calls").read_text()


def test_a_builder_that_is_none_is_refused(place):
    assert "must be docker, podman or buildah" in place.push(BUILDER="kaniko").stderr
