import shutil
import subprocess
import sys
from pathlib import Path

from starter.files import CappedLog, locked, tail, write_whole


def test_a_log_keeps_its_newest_part_under_the_cap(tmp_path: Path):
    log = CappedLog(tmp_path / "x.log", cap=100)
    for number in range(30):
        log.write(f"line {number:02}\n".encode())
    log.close()

    kept = [path.read_bytes() for path in (tmp_path / "x.log.1", tmp_path / "x.log")]

    assert all(len(part) <= 100 for part in kept)
    assert b"".join(kept).endswith(b"line 28\nline 29\n")


def test_a_log_whose_folder_is_gone_stops_nobody_and_comes_back(tmp_path: Path):
    log = CappedLog(tmp_path / "logs" / "x.log", cap=10)
    shutil.rmtree(tmp_path / "logs")

    log.write(b"lost lost lost\n")
    (tmp_path / "logs").mkdir()
    log.write(b"kept kept kept\n")
    log.close()

    assert (tmp_path / "logs" / "x.log").read_bytes() == b"kept kept kept\n"


def test_a_file_is_replaced_whole(tmp_path: Path):
    write_whole(tmp_path / "a" / "b.json", "old")
    write_whole(tmp_path / "a" / "b.json", "new")

    assert [(path.name, path.read_text()) for path in (tmp_path / "a").iterdir()] == [
        ("b.json", "new")
    ]


def test_a_lock_is_held_once_and_released(tmp_path: Path):
    lock = tmp_path / "up.lock"
    other = (
        "import sys; from pathlib import Path; from starter.files import locked\n"
        "with locked(Path(sys.argv[1]), wait=False) as held: print(held)"
    )

    with locked(lock, wait=False) as held:
        seen = subprocess.run([sys.executable, "-c", other, lock], capture_output=True, text=True)
    after = subprocess.run([sys.executable, "-c", other, lock], capture_output=True, text=True)

    assert (held, seen.stdout, after.stdout) == (True, "False\n", "True\n")


def test_the_tail_of_a_log_that_does_not_exist_is_empty(tmp_path: Path):
    assert tail(tmp_path / "none") == ""


def test_the_tail_has_the_last_lines(tmp_path: Path):
    (tmp_path / "x").write_text("a\nb\nc\n")

    assert tail(tmp_path / "x", 2) == "b\nc"
