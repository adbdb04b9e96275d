"""Versions of installed packages."""

from pathlib import Path

from fiat.engine.packages import Packages


def install(folder: Path, name: str, version: str, module: str, requires: tuple[str, ...] = ()) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    needs = "".join(f"Requires-Dist: {item}\n" for item in requires)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
    (info / "RECORD").write_text(f"{module}/__init__.py,,\n")


def test_gives_what_the_imported_modules_require_and_nothing_else(tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site, "Net-Kit", "1.0", "netkit", ("low_level>=1; python_version>'3'",))
    install(site, "low-level", "2.0", "lowlevel")
    install(site, "other", "3.0", "other")
    packages = Packages([str(site)], tmp_path / "cache.json")
    assert packages.reached_by(["netkit", "os"]) == {"low-level": "2.0", "net-kit": "1.0"}
    assert packages.versions() == {"low-level": "2.0", "net-kit": "1.0", "other": "3.0"}


def test_sees_an_upgrade_although_the_map_was_cached(tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site, "kit", "1.0", "kit")
    cache = tmp_path / "cache.json"
    assert Packages([str(site)], cache).reached_by(["kit"]) == {"kit": "1.0"}
    assert cache.exists()
    (site / "kit-1.0.dist-info").rename(site / "kit-1.1.dist-info")
    assert Packages([str(site)], cache).reached_by(["kit"]) == {"kit": "1.1"}


def test_a_damaged_cache_is_read_anew(tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site, "kit", "1.0", "kit")
    cache = tmp_path / "cache.json"
    cache.write_text("{broken")
    assert Packages([str(site)], cache).reached_by(["kit"]) == {"kit": "1.0"}
