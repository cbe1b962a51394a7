"""CPU in user space per message: what the library itself costs, the kernel's TCP left aside.

Sampled (harness/meter.py), because the kernel's own figure is a guess from 250 ticks a second. The
windows of the servers take turns until each has been watched for as long as was asked. Sampling
costs CPU in the kernel and lowers the share of user space as much, so their product stays: that is
user time per message. CPU per message comes from windows beside these that nobody watches.
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
                    self.samples.append(contender.watched_window(number))
                    self.samples.append(contender.window(number))
                number += 1
                if self._watched(workload) >= self.cpu_seconds:
                    break
        return number

    def _watched(self, workload):
        """CPU seconds of the server that was watched least."""
        own = [s for s in self.samples if s.workload == workload.name]
        return min((sum(cpu_seconds(s) for s in own if s.server == spec.name and s.all_samples)
                    for spec in self.specs), default=0)


def cpu_seconds(sample):
    return sample.server_cpu * sample.messages / 1e6


def user_us(sample):
    return sample.server_cpu * sample.user_samples / sample.all_samples


def summarize(samples):
    rows = []
    for key in dict.fromkeys((s.workload, s.server) for s in samples):
        own = [s for s in samples if (s.workload, s.server) == key]
        watched = quiet([s for s in own if s.all_samples])
        cpu, cpu_width = mean_interval([s.server_cpu for s in quiet(own) if not s.all_samples])
        user, user_width = mean_interval([user_us(s) for s in watched])
        hits, count = sum(s.user_samples for s in watched), sum(s.all_samples for s in watched)
        low, high = share_interval(hits, count)
        slowed = user / (hits / count) / cpu if hits else 1  # by the sampling
        ticks = sum(s.user_ticks for s in own), sum(s.system_ticks for s in own)
        rows.append({
            "workload": key[0], "server": key[1], "windows": len(watched),
            "cpu_seconds": sum(cpu_seconds(s) for s in watched),
            "cpu_us": cpu, "cpu_half_width": cpu_width,
            "user_share": user / cpu, "share_low": low * slowed, "share_high": high * slowed,
            "user_us": user, "user_half_width": user_width,
            "tick_share": ticks[0] / max(sum(ticks), 1), "slowed": slowed,
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
