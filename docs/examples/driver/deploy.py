"""A driver program for slipway: its host runs the processes, its edge moves the traffic."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

question = json.load(sys.stdin)
op, target, order = question["op"], question["target"], question["order"]
service, env = order.get("service"), order.get("environment")


def refuse(**error):
    sys.exit(print(json.dumps({"error": {"kind": "rejected", **error}})))  # exit code 0


def ask(door, op, **words):
    with socket.socket(socket.AF_UNIX) as line, line.makefile("rw") as text:
        line.connect(f"{sys.argv[1]}/{door}.sock")  # the host's folder, see `command`
        print(json.dumps({"op": op, "target": target, **words}), file=text, flush=True)
        answer = json.loads(text.readline())
    return refuse(**answer["error"]) if "error" in answer else answer


instances = ask("host", "list")["instances"]
if op == "build":  # the source folder is ours alone, and the same when it is asked again
    for line in () if Path(question["source"], ".built").exists() else service["build"]:
        if subprocess.run(line, shell=True, cwd=question["source"], stdout=2).returncode:
            sys.exit(65)  # EX_DATAERR; what standard error got is told
    Path(question["source"], ".built").touch()
    answer = {"sha": order["sha"], "digest": question["digest"], "location": question["source"]}
elif op == "start":
    folder = order["artefact"]["location"]
    if order["artefact"]["digest"][:16] not in folder or not Path(folder).exists():
        refuse(code="wrong_digest", message=f"what lies at {folder} is another release")
    ask("host", "declare", host=env["host"], port=env["port"])
    words = service | order["artefact"] | {"cwd": folder, "version": order["version"]}
    words |= {"argv": [word.replace("{release}", folder) for word in service["run"]]}
    secrets = {name: os.environ[name] for name in service["secrets"]}
    words |= {"env": service["env"] | env["env"] | secrets, "drain_s": service["drain"]}
    answer = ask("host", "start", instance=f"{order['rollout']}.{order['replica']}", **words)
elif op == "set_weights":
    shares = {name: share for name, share in order["weights"].items() if share}
    if lost := set(shares) - {each["instance"] for each in instances}:
        refuse(code="unknown_instance", message=f"{', '.join(lost)} of {target} does not run")
    routes = [each | {"weight": shares.get(each["instance"], 0)} for each in instances]
    answer = ask("edge", "route", routes=routes, op_id=order.pop("op"), **order)
elif op in ("inspect", "observe", "drain", "stop"):
    answer = {"target": target, "instances": instances, "at_ms": time.time_ns() // 1_000_000}
    answer |= ask("host" if op == "stop" else "edge", op, **order)
elif op == "probe":
    mine = (each for each in instances if each["instance"] == order["instance"])
    answer = next(mine, {**order, "target": target, "digest": "", "state": "gone"})
elif op == "prune":
    kept = {each["sha"] for each in instances} | set(order["keep"])
    answer = {"removed": sorted({each.name[:40] for each in Path("sources").glob("*.*")} - kept)}
print(json.dumps(answer))
