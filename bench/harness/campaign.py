"""A campaign: servers, workloads and rounds, and the files that it leaves."""

import json
import random
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from harness import checks, machine, plot, report
from harness.measure import Contender, measure_memory, system_calls_per_message

MEMORY_ROUNDS = 2
# What a process happens to get from the kernel (where its pages lie) lasts as long as it does: it
# must not last for all rounds.
ROUNDS_PER_START = 4


@dataclass
class Campaign:
    name: str
    specs: list
    workloads: list
    plan: object
    rounds: int
    rounds_max: int
    precision: float = report.PRECISE
    traced: tuple = ()
    memory_rounds: int = MEMORY_ROUNDS
    samples: list = field(default_factory=list)
    memory: list = field(default_factory=list)
    system_calls: list = field(default_factory=list)

    def run(self, with_checks=True):
        if with_checks:
            check_all(self.specs, self.plan)
        # The same program twice: how far apart equals are measured is the noise of a table.
        self._twin = replace(self.specs[0], name=report.TWIN, is_floor=False)
        self._clock = machine.StealClock()
        for workload in self.workloads:
            if workload.is_memory:
                self._measure_memory(workload)
            else:
                self._compare(workload)
        for workload in self.workloads:
            if workload.name in self.traced:
                self._trace(workload)

    def write(self, folder):
        """FOLDER/NAME.json and .svg; prints the tables."""
        rows = report.summarize(self.samples, self.roles())
        verdicts = report.verdicts(rows, self.roles())
        memory = report.summarize_memory(self.memory)
        for text in (report.format_table(rows), report.format_memory(memory),
                     report.format_verdicts(verdicts)):
            if text:
                print(text + "\n")
        document = {
            "summary": rows,
            "verdicts": verdicts,
            "memory": memory,
            "system_calls": self.system_calls,
            "not_done": self.not_done(),
            "stolen": self._clock.share(),
            "samples": [sample.as_dict() for sample in self.samples + self.memory],
        }
        save(folder, self.name, self.plan, self.specs[0].name, document)
        plot.draw_ratios(rows, folder / f"{self.name}.svg")

    def roles(self):
        return report.Roles.of(self.specs)

    def not_done(self):
        """Who cannot do what, and why."""
        return [{"server": spec.name, "workload": workload.name,
                 "why": "its program only echoes"}
                for workload in self.workloads for spec in self.specs
                if not spec.can(workload.mode)]

    def _compare(self, workload):
        """Rounds of one window each until the ratios are precise. Who starts first, and who follows
        whom in a round, is left to chance: no server always has the same neighbour."""
        specs = [spec for spec in [*self.specs, self._twin] if spec.can(workload.mode)]
        number = 0
        while number < self.rounds_max and not self._is_done(workload, number):
            with ExitStack() as stack:
                contenders = [stack.enter_context(Contender(spec, workload, self.plan))
                              for spec in shuffled(specs)]
                for _ in range(ROUNDS_PER_START):
                    self._run_round(contenders, number)
                    number += 1
                    if number >= self.rounds_max or self._is_done(workload, number):
                        break
        self._tell_workload(workload, number)

    def _run_round(self, contenders, number):
        self.plan.patience.wait_for_quiet()
        for contender in shuffled(contenders):
            self.samples.append(contender.window(number))

    def _is_done(self, workload, number):
        if number < self.rounds:
            return False
        own = [sample for sample in self.samples if sample.workload == workload.name]
        return report.is_precise(own, self.roles(), self.precision)

    def _tell_workload(self, workload, number):
        own = [sample for sample in self.samples if sample.workload == workload.name]
        tell(f"{workload.name}: {number} rounds")
        for row in report.summarize(own, self.roles()):
            tell(f"  {row['server']:<12} {row['cpu_median_us']:9.3f} µs"
                 f"  ÷ floor {report.ratio_text(row['to_floor']):<16}"
                 f"  ÷ peer {report.ratio_text(row['to_peer'])}")

    def _measure_memory(self, workload):
        for number in range(self.memory_rounds):
            for spec in self.specs:
                sample = measure_memory(spec, workload, self.plan, number)
                self.memory.append(sample)
                tell(f"{workload.name}  {spec.name:<12} {sample.user:9.0f} B user"
                     f" {sample.slab:9.0f} B slab")

    def _trace(self, workload):
        for spec in self.specs:
            calls = system_calls_per_message(spec, workload, self.plan)
            if calls is None:
                continue
            self.system_calls.append(
                {"workload": workload.name, "server": spec.name, "per_message": calls})
            tell(f"{workload.name:>13}  {spec.name:<12} {calls:.3f} system calls per message")


def shuffled(items):
    return random.sample(items, len(items))


def check_all(specs, plan):
    for spec in specs:
        checks.verify(spec, plan.load_program, plan.server_cpu)
        tell(f"{spec.name}: echoes correctly")


def save(folder, name, plan, reference, document):
    """FOLDER/NAME.json: the document, and what a reader must know of where it comes from."""
    head = {"name": name, "machine": machine.describe(), "seconds": plan.seconds,
            "reference": reference}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**head, **document}, indent=1) + "\n")
    tell(f"results: {path}")


def tell(text):
    print(text, file=sys.stderr, flush=True)
