"""A campaign: servers, workloads and rounds, and the files that it leaves."""

import json
import sys
from dataclasses import dataclass, field

from harness import checks, machine, plot, report
from harness.measure import measure, system_calls_per_message

PRECISE = 0.03  # half the 95 % interval of gyre ÷ floor, as a share

MEMORY_ROUNDS = 3


@dataclass
class Campaign:
    name: str
    specs: list
    workloads: list
    plan: object
    rounds: int
    rounds_max: int
    traced: tuple = ()
    samples: list = field(default_factory=list)
    memory: list = field(default_factory=list)
    system_calls: list = field(default_factory=list)

    def run(self, with_checks=True):
        if with_checks:
            for spec in self.specs:
                checks.verify(spec, self.plan.load_program, self.plan.server_cpu)
                _tell(f"{spec.name}: echoes correctly")
        for number in range(self.rounds_max):
            wanted = [w for w in self.workloads if self._wants_round(w, number)]
            for workload in wanted:
                self._run_round(workload, number)
        for workload in self.workloads:
            if workload.name in self.traced:
                self._trace(workload)

    def write(self, folder):
        """FOLDER/NAME.json and .svg; prints the tables."""
        rows = report.summarize(self.samples, self._floor_names(), self.specs[0].name)
        memory = report.summarize_memory(self.memory)
        if rows:
            print(report.format_table(rows))
        if memory:
            print(report.format_memory(memory))
        document = {
            "name": self.name,
            "machine": machine.describe(),
            "seconds": self.plan.seconds,
            "reference": self.specs[0].name,
            "summary": rows,
            "memory": memory,
            "system_calls": self.system_calls,
            "samples": [sample.as_dict() for sample in self.samples + self.memory],
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.json").write_text(json.dumps(document, indent=1) + "\n")
        if plot.draw_ratios(rows, folder / f"{self.name}.svg"):
            _tell(f"results: {folder / self.name}.json, .svg")
        else:
            _tell(f"results: {folder / self.name}.json (no plot: gnuplot is missing)")

    def _floor_names(self):
        return [spec.name for spec in self.specs if spec.is_floor]

    def _wants_round(self, workload, number):
        if workload.is_memory:
            return number < max(1, min(self.rounds // 2, MEMORY_ROUNDS))
        if number < self.rounds:
            return True
        own = [sample for sample in self.samples if sample.workload == workload.name]
        return not report.is_precise(own, self.specs[0].name, self._floor_names(), PRECISE)

    def _run_round(self, workload, number):
        # The order turns, so that no server always follows the same one.
        turn = number % len(self.specs)
        for spec in self.specs[turn:] + self.specs[:turn]:
            if not spec.can(workload.mode):
                continue
            sample = measure(spec, workload, self.plan, number)
            head = f"round {number + 1}  {workload.name:>13}  {spec.name:<12}"
            if workload.is_memory:
                self.memory.append(sample)
                _tell(f"{head} {sample.user:9.0f} B user {sample.slab:9.0f} B slab")
            else:
                self.samples.append(sample)
                _tell(f"{head} {sample.server_cpu:9.3f} µs  foreign {sample.foreign:.2f}")

    def _trace(self, workload):
        for spec in self.specs:
            calls = system_calls_per_message(spec, workload, self.plan)
            if calls is None:
                continue
            self.system_calls.append(
                {"workload": workload.name, "server": spec.name, "per_message": calls})
            _tell(f"{workload.name:>13}  {spec.name:<12} {calls:.3f} system calls per message")


def _tell(text):
    print(text, file=sys.stderr)
