"""CPU in user space per message: what the library itself costs, the kernel's TCP left aside.

Sampled (harness/meter.py), because the kernel's own figure is a guess from 250 ticks a second. The
windows of the servers take turns until each has been watched for as long as was asked.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field

from harness.campaign import check_all, save, tell
from harness.measure import Contender
from harness.report import quiet
from harness.stats import mean_interval, share_interval

ROUNDS_PER_START = 4


@dataclass
class UserCampaign:
    specs: list
    workloads: list
    plan: object
    cpu_seconds: float  # at least, of each server
    samples: list = field(default_factory=list)

    def run(self, with_checks=True):
        if with_checks:
            check_all(self.specs, self.plan)
        for workload in self.workloads:
            number = 0
            while self._watched(workload) < self.cpu_seconds:
                number = self._run_rounds(workload, number)
                tell(f"{workload.name}: {self._watched(workload):.0f} CPU seconds of each server")

    def write(self, folder):
        rows = summarize(self.samples)
        print(format_rows(rows) + "\n")
        save(folder, "user", self.plan, self.specs[0].name,
             {"user": rows, "samples": [sample.as_dict() for sample in self.samples]})

    def _run_rounds(self, workload, number):
        with ExitStack() as stack:
            contenders = [stack.enter_context(Contender(spec, workload, self.plan))
                          for spec in self.specs]
            for _ in range(ROUNDS_PER_START):
                turn = number % len(contenders)
                for contender in contenders[turn:] + contenders[:turn]:
                    self.samples.append(contender.window(number))
                number += 1
                if self._watched(workload) >= self.cpu_seconds:
                    break
        return number

    def _watched(self, workload):
        """CPU seconds of the server that was watched least."""
        own = [s for s in self.samples if s.workload == workload.name]
        return min((sum(cpu_seconds(s) for s in own if s.server == spec.name)
                    for spec in self.specs), default=0)


def cpu_seconds(sample):
    return sample.server_cpu * sample.messages / 1e6


def user_us(sample):
    """Sampling costs CPU in the kernel, and lowers the share of the rest as much: the product
    stays."""
    return sample.server_cpu * sample.user_samples / max(sample.all_samples, 1)


def summarize(samples):
    rows = []
    for key in dict.fromkeys((s.workload, s.server) for s in samples):
        own = [s for s in samples if (s.workload, s.server) == key]
        calm = quiet(own)
        hits, count = sum(s.user_samples for s in calm), sum(s.all_samples for s in calm)
        low, high = share_interval(hits, count)
        user, user_width = mean_interval([user_us(s) for s in calm])
        cpu, cpu_width = mean_interval([s.server_cpu for s in calm])
        ticks = sum(s.user_ticks for s in calm), sum(s.system_ticks for s in calm)
        rows.append({
            "workload": key[0], "server": key[1], "windows": len(calm),
            "cpu_seconds": sum(cpu_seconds(s) for s in calm),
            "cpu_us": cpu, "cpu_half_width": cpu_width,
            "user_share": hits / max(count, 1), "share_low": low, "share_high": high,
            "user_us": user, "user_half_width": user_width,
            "tick_share": ticks[0] / max(sum(ticks), 1),
        })
    return rows


def format_rows(rows):
    lines = [f"{'workload':<10} {'server':<12} {'CPU s':>6} {'CPU µs/message':>18} "
             f"{'user share [95 %]':>24} {'user ns/message':>18}  (share from ticks)"]
    for row in rows:
        share = f"{row['user_share']:.2%} [{row['share_low']:.2%}, {row['share_high']:.2%}]"
        lines.append(
            f"{row['workload']:<10} {row['server']:<12} {row['cpu_seconds']:>6.1f} "
            f"{plus_minus(row['cpu_us'], row['cpu_half_width'], 3):>18} {share:>24} "
            f"{plus_minus(1000 * row['user_us'], 1000 * (row['user_half_width'] or 0), 1):>18}"
            f"  ({row['tick_share']:.1%})")
    return "\n".join(lines)


def plus_minus(value, half_width, digits):
    return f"{value:.{digits}f}" + ("" if not half_width else f" ±{half_width:.{digits}f}")
