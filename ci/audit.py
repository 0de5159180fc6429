"""Check what Laennec is installed with: ``make audit``.

    python ci/audit.py [--lock]

Prints what is found, and writes ``dist/sbom-base.json``, ``dist/sbom-train.json`` (CycloneDX) and
``dist/licences.csv``. The exit code is 1 if a known vulnerability, a licence that is not allowed, an altered
file, another hash or a wheel that cannot be repeated is found. What cannot be checked here is said, and is no
failure. ``--lock`` adds the hashes of this platform's files to ``ci/hashes.txt``.

Why the hashes stand in a file of their own: a hash in ci/constraints.txt would put pip into its
hash-checking mode, which refuses the editable install of Laennec itself, every dependency that is not pinned
(PyTorch's CUDA libraries on Linux), and one of PyTorch's two builds, whose files differ by the index. So pip
installs by version, checks each download by the hash that the index names, and this program compares those
hashes with the ones that are kept.
"""

import argparse
import base64
import csv
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
DIST, HASHES, PINS = ROOT / "dist", ROOT / "ci/hashes.txt", ROOT / "ci/constraints.txt"
EXTRAS = {"base": (), "train": ("train",)}
# What may be used by a program under Apache-2.0. MPL and LGPL ask that changes to those libraries themselves
# are published; Laennec uses them as they are.
ALLOWED = {
    *(
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "ISC",
        "0BSD",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "Zlib",
        "BSL-1.0",
        "HPND",
    ),
    *("Apache-2.0", "LLVM-exception", "PSF-2.0", "CC0-1.0", "Unlicense", "MPL-2.0", "LGPL-2.1-or-later"),
}
SPELLINGS = {  # of those that do not yet write SPDX
    "apache": "Apache-2.0",
    "mit": "MIT",
    "3-clause bsd": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd": "BSD",
    "isc": "ISC",
    "python software foundation": "PSF-2.0",
    "mozilla public license 2.0": "MPL-2.0",
}


def run(*command: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, cwd=ROOT, **more)


def closure(extras: tuple[str, ...]) -> dict[str, metadata.Distribution]:
    """Installed distributions that Laennec with these extras needs, and itself not, by name."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [("laennec", extras)]
    while waiting:
        name, own = waiting.pop()
        for text in metadata.distribution(name).requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            if marker and not any(marker.evaluate({"extra": extra}) for extra in (*own, "")):
                continue
            key = canonicalize_name(requirement.name)
            if key not in found and key != "laennec":
                found[key] = metadata.distribution(key)
                waiting.append((key, tuple(requirement.extras)))
    return dict(sorted(found.items()))


def vulnerabilities() -> list[str]:
    """Known vulnerabilities of every pinned version."""
    for service in ("pypi", "osv"):
        options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
        done = run("pip_audit", "--requirement", str(PINS), "--vulnerability-service", service, *options)
        try:
            answers = json.loads(done.stdout)["dependencies"]
        except ValueError:
            continue
        known = [answer for answer in answers if "vulns" in answer]
        if known:
            print(f"vulnerabilities: {len(known)} of {len(answers)} versions are known to {service}")
            return [
                f"{answer['name']} {answer['version']}: {found['id']}, repaired in {found['fix_versions']}"
                for answer in known
                for found in answer["vulns"]
            ]
    print("vulnerabilities: NOT CHECKED, no vulnerability service can be reached from here")
    return []


def licence(distribution: metadata.Distribution) -> str:
    """The licence as SPDX has it, by the distribution's own words."""
    told = distribution.metadata
    classifiers = [c.split(" :: ")[-1] for c in told.get_all("Classifier", []) if c.startswith("License")]
    own = (told.get("License") or "").strip().splitlines() or [""]
    for words in (told.get("License-Expression"), own[0], *classifiers):
        if not words or words == "UNKNOWN":
            continue
        if all(part in ALLOWED for part in parts(words)):
            return words
        found = next((spdx for text, spdx in SPELLINGS.items() if text in words.lower()), None)
        if found:
            return found
        if words == told.get("License-Expression"):
            return words
    return "unknown"


def parts(expression: str) -> list[str]:
    """Identifiers of an SPDX expression."""
    return [word for word in re.split(r"[\s()]+", expression) if word and word not in ("AND", "OR", "WITH")]


def licences() -> list[str]:
    """List the licences of all dependencies, and return those that are not allowed."""
    base, needed = closure(()), closure(EXTRAS["train"])
    told = {name: licence(distribution) for name, distribution in needed.items()}
    with (DIST / "licences.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["package", "version", "licence", "needed by"])
        for name, distribution in needed.items():
            table.writerow([name, distribution.version, told[name], "base" if name in base else "train"])
    print(f"licences: {len(told)} dependencies, {len(base)} of them of the base install")
    return [
        f"{name}: licence {text} is not in the list of those allowed"
        for name, text in told.items()
        if not all(part in ALLOWED for part in parts(text))
    ]


def bills() -> list[str]:
    """Write the bills of materials: the environment's, cut down to what Laennec needs."""
    options = ["--pyproject", "pyproject.toml", "--mc-type", "library", "--output-reproducible"]
    done = run("cyclonedx_py", "environment", *options, "--output-format", "JSON", sys.executable)
    if done.returncode:
        return [f"no bill of materials: {done.stderr.strip()}"]
    whole = json.loads(done.stdout)
    for name, extras in EXTRAS.items():
        needed = closure(extras)
        components = [own for own in whole["components"] if canonicalize_name(own["name"]) in needed]
        refs = {own["bom-ref"] for own in components} | {whole["metadata"]["component"]["bom-ref"]}
        links = [
            {**own, "dependsOn": [ref for ref in own.get("dependsOn", ()) if ref in refs]}
            for own in whole.get("dependencies", ())
            if own["ref"] in refs
        ]
        path = DIST / f"sbom-{name}.json"
        path.write_text(
            json.dumps({**whole, "components": components, "dependencies": links}, indent=1) + "\n"
        )
        print(f"bill of materials: {path.relative_to(ROOT)}, {len(components)} components")
        if len(components) != len(needed):
            return [f"{path.name} lacks {len(needed) - len(components)} dependencies"]
    return []


def altered() -> list[str]:
    """Installed files that are not what their distribution's RECORD has."""
    wrong, count = [], 0
    for name, distribution in closure(EXTRAS["train"]).items():
        for file in distribution.files or ():
            path = Path(str(file.locate()))
            if file.hash is None or path.suffix == ".pyc":
                continue
            count += 1
            digest = hashlib.new(file.hash.mode, path.read_bytes()).digest() if path.exists() else b""
            if base64.urlsafe_b64encode(digest).decode().rstrip("=") != file.hash.value:
                wrong.append(f"{name}: {file} is not as it was installed")
    print(f"installed files: {count} compared with their hashes")
    return wrong


def hashes(lock: bool) -> list[str]:
    """Hashes of the files that pip would install, against those that are kept."""
    kept = dict(reversed(line.split()) for line in kept_lines())
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        options = ["--dry-run", "--no-deps", "--ignore-installed", "--quiet", "--disable-pip-version-check"]
        pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)$", PINS.read_text(encoding="utf-8"), re.M))
        fuzz = ("fuzz",) if importlib.util.find_spec("atheris") else ()  # where `make fuzz` has installed it
        needed = closure((*EXTRAS["train"], *fuzz)).items()
        # Without a local part (+cpu), which is the index's choice.
        wanted = [f"{name}=={pinned.get(name, own.version.split('+')[0])}" for name, own in needed]
        done = run("pip", "install", *options, "--report", str(report), *wanted)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            print(f"hashes: NOT CHECKED, pip cannot ask the index ({last})")
            return []
        installs = json.loads(report.read_text(encoding="utf-8"))["install"]
    found = {
        Path(own["download_info"]["url"]).name.replace("%2B", "+"): own["download_info"]["archive_info"]
        for own in installs
        if "archive_info" in own["download_info"]
    }
    named = {file: about.get("hashes", {}).get("sha256", "") for file, about in found.items()}
    if lock:
        kept |= {file: digest for file, digest in named.items() if digest}
        head = (
            [line for line in HASHES.read_text().splitlines() if line.startswith("#")]
            if HASHES.exists()
            else []
        )
        HASHES.write_text("\n".join([*head, *(f"{kept[file]}  {file}" for file in sorted(kept))]) + "\n")
    known = {file for file in named if file in kept}
    print(f"hashes: {len(known)} of {len(named)} files that pip would install here are kept in {HASHES.name}")
    return [
        f"{file}: its hash is {named[file] or 'not known to the index'}, and {kept[file]} is kept"
        for file in sorted(known)
        if named[file] != kept[file]
    ]


def kept_lines() -> Iterator[str]:
    """Lines ``hash  file`` of ci/hashes.txt, as sha256sum reads them."""
    for line in HASHES.read_text(encoding="utf-8").splitlines() if HASHES.exists() else ():
        if line and not line.startswith("#"):
            yield line


def wheel() -> list[str]:
    """Build the wheel twice, under other circumstances; both must be the same bytes."""
    digests = []
    for number, more in enumerate(({"TZ": "UTC"}, {"TZ": "Asia/Shanghai", "PYTHONHASHSEED": "7"})):
        folder = DIST / f"wheel-{number}"
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000", **more}
        done = run("hatchling", "build", "--target", "wheel", "--directory", str(folder), env=environment)
        if done.returncode:
            return [f"the wheel cannot be built: {done.stderr.strip()}"]
        (path,) = folder.glob("*.whl")
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    print(f"wheel: {path.name}, sha256 {digests[0]}")
    return [] if len(set(digests)) == 1 else ["the wheel is other bytes each time it is built"]


def main() -> int:
    """Check everything, and print what is wrong last."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lock", action="store_true", help="add this platform's files to ci/hashes.txt")
    options = parser.parse_args()
    DIST.mkdir(exist_ok=True)
    wrong = [*vulnerabilities(), *licences(), *bills(), *altered(), *hashes(options.lock), *wheel()]
    print("\n".join(f"WRONG: {line}" for line in wrong) or "nothing is wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
