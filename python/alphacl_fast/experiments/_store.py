"""What is kept of a run: a JSON file per finished claim and one per claim in hand, each with its settings."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from alphacl_fast._backend import host_module
from alphacl_fast._info import info
from alphacl_fast.datasets import image_files
from alphacl_fast.experiments._claim import Result
from alphacl_fast.experiments._settings import Settings


def key(module: ModuleType, settings: Settings) -> dict[str, Any]:
    """All that the numbers depend on: what was computed under another key is computed again."""
    data, facts = settings.data if getattr(module, "USES_DATA", False) else None, info()
    return {
        "quick": settings.quick,
        "seed": settings.seed,
        "claim": module.__name__,
        "data": None if data is None else [data.name, _digest_of_data(data)],
        "versions": [str(facts[name]) for name in ("version", "numpy", "torch", "isa")],
        "source": _digest_of_package(),
    }


def _digest_of_data(data: Path) -> str:
    """Of the names and bytes of all images, wherever they lie and whenever they were written."""
    places = [data / split for split in ("", "train", "test")]
    files = sorted({file for place in places for file in image_files(place)}) if data.is_dir() else [data]
    stats = [file.stat() for file in files]
    return _digest(data, tuple((f, s.st_size, s.st_mtime_ns) for f, s in zip(files, stats, strict=True)))


@functools.lru_cache(maxsize=1)
def _digest(data: Path, files: tuple[tuple[Path, int, int], ...]) -> str:
    """Read once, not once per claim."""
    digest = hashlib.sha256()
    for file, size, _ in files:
        digest.update(os.fsencode(file.relative_to(data)) + f"\0{size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def _digest_of_package() -> str:
    """Of the code that computes: all Python files, and the compiled modules."""
    digest = hashlib.sha256()
    sources = Path(__file__).parents[1].rglob("*.py")
    for path in sorted([*sources, Path(host_module().__file__ or "")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def stem(name: str, key: dict[str, Any]) -> str:
    """What a claim's files are called: those of one size, seed and data do not take the place of others."""
    parts = [name, "quick" if key["quick"] else "full", str(key["seed"])]
    if key["data"] is not None:
        parts.append(hashlib.sha256("\0".join(key["data"]).encode(errors="surrogateescape")).hexdigest()[:16])
    return "-".join(parts)


class Store:
    """The folder of one claim's records, below DIR/claims."""

    def __init__(self, folder: Path, name: str, key: dict[str, Any]) -> None:
        self._key = key
        self._finished, self._parts = (folder / f"{stem(name, key)}{end}.json" for end in ("", ".parts"))
        self._kept = self._read(self._parts) or {"parts": {}}

    def get(self, name: str) -> tuple[Any, float] | None:
        """A part that an interrupted run has finished, and its seconds."""
        found = self._kept["parts"].get(name)
        return None if found is None else (found[0], found[1])

    def put(self, name: str, value: Any, seconds: float) -> None:
        """Keep a part."""
        self._kept["parts"][name] = [value, seconds]
        self._write(self._parts, self._kept)

    def load(self, module: ModuleType, complete: bool = True) -> Result | None:
        """The finished claim, judged anew; or None. complete: also where something was left out, perhaps there now."""
        found = self._read(self._finished)
        if found is None or (complete and found["left_out"]):
            return None
        return Result(found["numbers"], module.RULES, module.FIGURES, found["left_out"], found["seconds"])

    def save(self, module: ModuleType, result: Result) -> None:
        """The finished claim; its parts are needed only where others were left out."""
        verdicts = [
            {
                "rule": v.rule.name,
                "statement": v.rule.statement,
                "value": v.value,
                "relation": v.rule.relation,
                "bound": v.rule.bound,
                "verdict": v.word,
            }
            for v in result.verdicts
        ]
        record = {"title": module.TITLE, "verdicts": verdicts, "left_out": list(result.left_out)}
        self._write(self._finished, {**record, "seconds": result.seconds, "numbers": result.numbers})
        if not result.left_out:
            self._parts.unlink(missing_ok=True)

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # ValueError: cut off, or no text
            return None
        return found if isinstance(found, dict) and found.get("key") == self._key else None

    def _write(self, path: Path, record: dict[str, Any]) -> None:
        """All of it or nothing: an interruption leaves the old file."""
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"key": self._key, **record}, ensure_ascii=False), encoding="utf-8")
        new.replace(path)
