"""Open loop: p99 when as much is due of every server, whatever it does.

In a closed loop a slow server is asked less, and the worst waits are not counted. Here the slowest
server's capacity, measured closed-loop in the same run, says how much is due: half of it and 80 %.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from statistics import median

from harness import report
from harness.campaign import check_all, save, tell
from harness.machine import DISTURBED
from harness.measure import Contender, open_loop
from harness.servers import BenchError
from harness.stats import median_interval, ratio_of

LOADS = (0.5, 0.8)
CAPACITY_ROUNDS = 3
CAPACITY_SECONDS = 0.4
RETRIES = 2


@dataclass
class LatencyCampaign:
    specs: list
    workloads: list
    plan: object
    rounds: int
    samples: list = field(default_factory=list)
    capacities: list = field(default_factory=list)

    def run(self, with_checks=True):
        if with_checks:
            check_all(self.specs, self.plan)
        for workload in self.workloads:
            slowest = self._capacity(workload)
            for number in range(self.rounds):
                for load in LOADS:
                    self._run_round(workload, number, load, load * slowest)

    def write(self, folder):
        rows = summarize(self.samples, self.specs[0].name)
        print(format_rows(rows) + "\n")
        document = {"capacities": self.capacities, "latency": rows, "samples": self.samples}
        save(folder, "latency", self.plan, self.specs[0].name, document)

    def _capacity(self, workload):
        """Messages per second of the slowest server in a closed loop."""
        rates = {spec.name: [] for spec in self.specs}
        plan = replace(self.plan, seconds=CAPACITY_SECONDS)
        with ExitStack() as stack:
            contenders = [stack.enter_context(Contender(spec, workload, plan))
                          for spec in self.specs]
            for number in range(CAPACITY_ROUNDS):
                for contender in contenders:
                    sample = contender.window(number)
                    rates[sample.server].append(sample.messages / sample.seconds)
        for name, own in rates.items():
            self.capacities.append(
                {"workload": workload.name, "server": name, "per_second": median(own)})
        slowest = min(rates, key=lambda name: median(rates[name]))
        tell(f"{workload.name}: the slowest is {slowest}, {median(rates[slowest]):.0f} messages/s")
        return median(rates[slowest])

    def _run_round(self, workload, number, load, rate):
        turn = number % len(self.specs)
        for spec in self.specs[turn:] + self.specs[:turn]:
            sample = {"workload": workload.name, "load": load, "rate": rate, "server": spec.name,
                      "round": number, **self._window(spec, workload, rate)}
            self.samples.append(sample)

    def _window(self, spec, workload, rate):
        for attempt in range(RETRIES + 1):
            try:
                latency, foreign = open_loop(spec, workload, self.plan, rate)
            except BenchError as error:  # Not all that was due was answered.
                tell(f"{workload.name} at {rate:.0f}/s  {spec.name}: {error}")
                return {"p50": None, "p99": None, "foreign": 0}
            patience = self.plan.patience
            if foreign < DISTURBED or attempt == RETRIES or patience.seconds <= 0:
                break
            patience.seconds -= self.plan.seconds
            patience.wait_for_quiet()
        return {"p50": latency["p50"], "p99": latency["p99"], "foreign": foreign}


def summarize(samples, reference):
    """A row for each workload, load and server: median p99 with its interval, and the reference's
    p99 ÷ its, paired by round."""
    rows = []
    for key in dict.fromkeys((s["workload"], s["load"], s["server"]) for s in samples):
        group = [s for s in samples if (s["workload"], s["load"]) == key[:2]]
        own = [s for s in group if s["server"] == key[2]]
        answered = [s for s in own if s["p99"]]
        values = [s["p99"] for s in answered]
        low, high = median_interval(values)
        base = {s["round"]: s["p99"] for s in group if s["server"] == reference and s["p99"]}
        rows.append({
            "workload": key[0], "load": key[1], "server": key[2], "rate": own[0]["rate"],
            "rounds": len(own), "overloaded": len(own) - len(answered),
            "p50_us": median(s["p50"] for s in answered) if answered else None,
            "p99_us": median(values) if values else None, "p99_low": low, "p99_high": high,
            "reference_to_it": ratio_of([base[s["round"]] / s["p99"] for s in answered
                                         if s["round"] in base]),
        })
    return rows


def format_rows(rows):
    lines = [f"{'workload':<10} {'load':>5} {'due/s':>8} {'server':<12} {'p50 µs':>8} {'p99 µs':>8}"
             f" {'95 % interval':>16}  first ÷ it, and the mean"]
    for row in rows:
        if row["p99_us"] is None:
            lines.append(f"{row['workload']:<10} {row['load']:>5.0%} {row['rate']:>8.0f} "
                         f"{row['server']:<12} did not answer what was due")
            continue
        interval = "-" if row["p99_low"] is None else f"{row['p99_low']:.0f}..{row['p99_high']:.0f}"
        lines.append(
            f"{row['workload']:<10} {row['load']:>5.0%} {row['rate']:>8.0f} {row['server']:<12} "
            f"{row['p50_us']:>8.0f} {row['p99_us']:>8.0f} {interval:>16}  "
            f"{report.ratio_text(row['reference_to_it'])}, "
            f"{report.mean_text(row['reference_to_it'])}")
    return "\n".join(lines)
