"""judge: what was counted against what it may be.

Both are by load and part. What was counted is {load: {part: {function: count}}}, a budget is {load:
{part: count}}; of system calls, each is a part with itself as the only function.
"""

TOLERANCE = 0.05
# The counts are those of one compiler and one libc. Another one inlines other things, which moves
# instructions from floor to floor, and differs by that much in what all of them need.
FOREIGN_TOLERANCE = 0.25
# A part of next to nothing must not fail by a single instruction, or call in a hundred messages.
SLACK = {"instructions": 4, "calls": 0.01}
FUNCTIONS_NAMED = 6


def totals(counted):
    return {load: {part: round(sum(functions.values()), 3) for part, functions in parts.items()}
            for load, parts in counted.items()}


def lowest(one, other):
    """Noise only adds: what each part cost at least in two runs."""
    return {load: {part: min(functions, other[load].get(part, {}),
                             key=lambda functions: sum(functions.values()))
                   for part, functions in parts.items()}
            for load, parts in one.items()}


def _in_all(counted, budget):
    """So that what only moved from one part to another, by inlining, is seen to have done so."""
    return (f"\n      in all {sum(sum(functions.values()) for functions in counted.values()):.6g}, "
            f"the budgets {sum(budget.values()):.6g}; here most by")


def _dearest(functions):
    dearest = sorted(functions.items(), key=lambda item: -item[1])[:FUNCTIONS_NAMED]
    return "".join(f"\n      {count:10.1f}  {name[:80]}" for name, count in dearest)


def judge(kind, counted, budgets, tolerance=TOLERANCE):
    """Complaints about what costs more than it may, and remarks on what costs much less."""
    complaints = [f"{load}: has a budget, and was not measured" for load in budgets
                  if load not in counted]
    remarks = []
    for load, parts in counted.items():
        if load not in budgets:
            complaints.append(f"{load}: has no budget")
            continue
        for part in sorted({*parts, *budgets[load]}):
            budget = budgets[load].get(part, 0)
            functions = parts.get(part, {})
            count = sum(functions.values())
            said = f"{load}: {part}: {count:.6g} {kind}, the budget is {budget:.6g}"
            if budget:
                said += f" ({count / budget - 1:+.1%})"
            if count > budget * (1 + tolerance) + SLACK[kind]:
                complaints.append(said + _in_all(parts, budgets[load]) + _dearest(functions))
            elif count < budget * (1 - tolerance) - SLACK[kind]:
                remarks.append(said)
    return complaints, remarks


def judge_foreign(kind, counted, budgets):
    """The same for figures of another build: only what all parts cost together is compared."""
    merged = {load: {"in all": {f"{part}: {name}": count for part, functions in parts.items()
                                for name, count in functions.items()}}
              for load, parts in counted.items()}
    sums = {load: {"in all": sum(parts.values())} for load, parts in budgets.items()}
    return judge(kind, merged, sums, FOREIGN_TOLERANCE)
