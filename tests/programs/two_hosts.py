#!/usr/bin/env python3
"""Starts a training on two hosts that are network namespaces of this machine, joined by a cable (veth) and nothing else.

Usage: tests/programs/two_hosts.py [--bin DIR]

mpirun runs on one of them and starts its daemon on the other through an agent in the place of ssh; processes meet over TCP. The
training and a synth must give the bytes of one process. Needs root, ip, unshare and mpirun; exits 77, saying what lacks, where
it cannot run.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HOSTS = {"10.207.83.1": "tt-host-a", "10.207.83.2": "tt-host-b"}
FILES = ("last.safetensors", "best.safetensors", "results.csv")
# Runs what ssh would: the host first, then a command for its shell. A name of its own, as hosts have.
AGENT = """#!/bin/sh
case $1 in {cases} esac
shift
exec ip netns exec "$host" unshare --uts sh -c "hostname $host; $*"
"""


def sh(line, **more):
    return subprocess.run(line, shell=True, check=True, capture_output=True, text=True, **more)


def why_not(args):
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    for tool in ("ip", "unshare", "mpirun"):
        if not shutil.which(tool):
            return f"there is no {tool}"
    return "" if (args.bin / "libtelltale_mpi.so").exists() else "this build has no MPI"


def connect():
    a, b = HOSTS.values()
    for host in (a, b):
        sh(f"ip netns add {host} && ip -n {host} link set lo up")
    sh(f"ip link add tt0 netns {a} type veth peer name tt0 netns {b}")
    for address, host in HOSTS.items():
        sh(f"ip -n {host} address add {address}/24 dev tt0 && ip -n {host} link set tt0 up")


def disconnect():
    for host in HOSTS.values():
        subprocess.run(["ip", "netns", "delete", host], capture_output=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/bin"))
    args = parser.parse_args()
    args.bin = args.bin.resolve()
    reason = why_not(args)
    if not reason:
        disconnect()  # what a killed test left
        try:
            connect()
        except subprocess.CalledProcessError as e:
            disconnect()
            reason = "cannot make network namespaces here: " + e.stderr.strip()
    if reason:
        print("skipped:", reason)
        return 77
    lost = 0
    with tempfile.TemporaryDirectory() as name:
        try:
            folder = pathlib.Path(name)
            agent = folder / "agent"
            agent.write_text(AGENT.format(cases=" ".join(f"{address}) host={host};;" for address, host in HOSTS.items())))
            agent.chmod(0o755)
            environment = dict(os.environ, OMP_NUM_THREADS="1")
            here = next(iter(HOSTS.values()))
            common = "--device cpu --threads 1 --quiet"
            sh(f"{args.bin}/synth --scenes 40 --size 32 --width 2 --weights random:1 --split .8,.1,.1 {common} --out {folder}/data")
            jobs = {
                "train": (f"{args.bin}/train --data {folder}/data --out {{out}} --net alexnet --width 0.125 --size 64 --batch 8 --micro-batch 2 --rank-bucket 0.5 "
                          f"--lr 0.001 --workers 1 --seed 3 --epochs 2 {common}", FILES),
                "synth": (f"{args.bin}/synth --scenes 20 --size 32 --width 2 --weights random:1 --split .8,.1,.1 {common} --out {{out}}",
                          ("labels.csv", "psnr.csv", "dataset.json")),
            }
            for job, (line, files) in jobs.items():
                sh(line.format(out=folder / (job + "1")), env=environment)
                mpirun = (f"mpirun --allow-run-as-root --oversubscribe --bind-to none --host {','.join(a + ':2' for a in HOSTS)} -n 4 "
                          f"--mca plm rsh --mca plm_rsh_agent {agent} --mca orte_keep_fqdn_hostnames 1 --mca btl tcp,self --mca pml ob1 "
                          "--mca btl_tcp_if_include tt0 --mca oob_tcp_if_include tt0 -x OMP_NUM_THREADS "
                          f"sh -c 'hostname >> {folder}/{job}.hosts; exec {line.format(out=folder / (job + '2'))}'")
                inner = folder / "start"
                inner.write_text(f"hostname {here}\n{mpirun}\n")
                run = subprocess.run(["ip", "netns", "exec", here, "unshare", "--uts", "sh", inner], env=environment, capture_output=True,
                                     text=True, timeout=240)
                if run.returncode:
                    print(f"{job}: exit code {run.returncode}: {run.stderr}")
                    return 1
                hosts = sorted((folder / f"{job}.hosts").read_text().split())
                if hosts != sorted(2 * list(HOSTS.values())):
                    print(f"{job}: ran on {hosts}")
                    return 1
                for file in files:
                    same = (folder / (job + "1") / file).read_bytes() == (folder / (job + "2") / file).read_bytes()
                    lost += not same
                    if not same:
                        print(f"{job}: {file} differs from one process's")
        finally:
            disconnect()
    print("train and synth in 4 processes on two hosts: " + ("the bytes of one process" if not lost else f"{lost} files differ"))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
