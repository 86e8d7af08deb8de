"""What commands of a repository may leave behind to make slipway read or write elsewhere."""

import json
from pathlib import Path

import pytest

from domain.review import Verdict
from integrations.gates import node_environment
from integrations.gates.environment import Environment, Room
from integrations.gates.environments import enter
from integrations.gates.python_harvest import Harvest
from integrations.gates.workshop import Workshop, inside, remove
from tests.integrations.gates.ground import PROCESSES, SHOP, TESTS, Ground


def workshop(tmp_path: Path) -> tuple[Workshop, Path]:
    shop = Workshop(tmp_path / "env", PROCESSES, lambda text: None)
    shop.furnish()
    shop.tree.mkdir()
    site = shop.folder / "venv" / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    return shop, site


def install(site: Path, record: str) -> Path:
    info = site / "shop-1.0.dist-info"
    info.mkdir()
    (info / "direct_url.json").write_text(json.dumps({"url": "file:///x/tree", "dir_info": {}}))
    (info / "METADATA").write_text("Name: shop\n")
    (info / "RECORD").write_text(record)
    return info


def test_a_forged_record_removes_and_copies_nothing_outside(tmp_path: Path) -> None:
    shop, site = workshop(tmp_path)
    victim = tmp_path / "victim.py"
    victim.write_text("keep me\n")
    (site / "linked").symlink_to(tmp_path)
    (site / "shop").mkdir()
    (site / "shop" / "__init__.py").write_text("")
    (site / "shop" / "made.py").write_text("V = 1\n")
    rows = (f"{victim},,", "../../../../../../victim.py,,", "linked/victim.py,,")
    install(site, "\n".join((*rows, "shop/__init__.py,,", "shop/made.py,,", "")))

    harvest = Harvest(site, shop, frozenset({"src/shop/__init__.py"}))
    harvest.take()

    assert victim.read_text() == "keep me\n"
    kept = sorted(path.name for path in (shop.kept / "files").rglob("*") if path.is_file())
    assert kept == ["made.py"]
    assert (harvest.roots, harvest.packages) == (("src",), ("shop",))
    assert not (site / "shop").exists()


def test_links_in_metadata_stay_links(tmp_path: Path) -> None:
    shop, site = workshop(tmp_path)
    (tmp_path / "secret").write_text("hush")
    info = install(site, "")
    (info / "LICENSE").symlink_to(tmp_path / "secret")

    Harvest(site, shop, frozenset()).take()

    assert (shop.kept / info.name / "LICENSE").is_symlink()


def test_a_link_in_the_place_of_the_tree_is_not_walked(tmp_path: Path) -> None:
    shop, site = workshop(tmp_path)
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "key.txt").write_text("hush")
    shop.tree.rmdir()
    shop.tree.symlink_to(tmp_path / "private")

    Harvest(site, shop, frozenset()).take()

    assert not (shop.kept / "files").exists()


def test_products_do_not_follow_links_of_the_change(tmp_path: Path) -> None:
    built, room = tmp_path / "env" / "room", Room(folder=str(tmp_path / "gate" / "room"))
    (built / "tree" / "out").mkdir(parents=True)
    (built / "tree" / "out" / "x.txt").write_text("product")
    (built / "tree" / "y.txt").write_text("product")
    room.tree.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (room.tree / "out").symlink_to(tmp_path / "elsewhere")
    (room.tree / "y.txt").symlink_to(tmp_path / "elsewhere" / "new.txt")
    environment = Environment(project="other", digest="d", folder=str(built), products=True)

    enter(environment, room)

    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_packages_are_not_linked_through_links_of_the_change(tmp_path: Path) -> None:
    built, room = tmp_path / "env" / "room", Room(folder=str(tmp_path / "gate" / "room"))
    (built / "tree" / "own" / "node_modules" / "left").mkdir(parents=True)
    room.tree.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (room.tree / "own").symlink_to(tmp_path / "elsewhere")

    node_environment.enter(Environment(project="node", digest="d", folder=str(built)), room)

    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_a_report_that_is_a_link_is_no_evidence(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text('<testsuite><testcase classname="a" name="b"/></testsuite>')
    forged = TESTS + (
        "\n    def test_z(self):\n        import os\n"
        "        room = os.path.dirname(os.getcwd())\n"
        "        os.rmdir(room + '/reports')\n"
        f"        os.symlink({str(tmp_path / 'forged')!r}, room + '/reports')\n"
        "        os._exit(0)\n"
    )
    (tmp_path / "forged").mkdir()
    report.rename(tmp_path / "forged" / "report")
    ground = Ground(tmp_path, SHOP)

    result = await ground.judge("tests", {"tests/test_price.py": forged})

    assert result.verdict == Verdict.FAILED
    assert "before its report was complete" in result.reason


async def test_endless_output_is_cut_and_does_not_decide(tmp_path: Path) -> None:
    loud = TESTS + (
        "\n    def test_loud(self):\n        for _ in range(200):\n"
        "            print('x' * 1_000_000)\n"
    )
    ground = Ground(tmp_path, SHOP)

    result = await ground.judge("tests", {"tests/test_price.py": loud})

    assert result.verdict == Verdict.PASSED
    assert result.log is not None
    assert result.log.size <= 9 * 1024 * 1024


async def test_a_folder_without_permissions_is_removed(tmp_path: Path) -> None:
    closing = TESTS + (
        "\n    def test_closes(self):\n        import os\n        os.makedirs('a/b/c')\n"
        "        os.chmod('a/b/c', 0)\n        os.chmod('a/b', 0)\n"
    )
    ground = Ground(tmp_path, SHOP)

    await ground.judge("tests", {"tests/test_price.py": closing})

    assert ground.left() == []


def test_removing_a_link_leaves_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")

    remove(tmp_path / "link")
    remove(tmp_path / "absent")

    assert (tmp_path / "kept").exists()
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize(("path", "expected"), [("a/b", True), ("../b", False), ("a/../..", False)])
def test_tells_inside_from_outside(tmp_path: Path, path: str, expected: bool) -> None:
    assert inside(tmp_path, tmp_path / path) is expected
