"""What `--where`, `--balance` and `--count` mean, for the commands that have them."""

WHERE_HELP = (
    "only rows of which this holds: 'age=30..40', 'age>=65', 'income=>50K', 'city=Bern|Basel', 'work=missing'; "
    "repeatable, all must hold"
)
BALANCE_HELP = "as many rows of each value of this column"
COUNT_HELP = "exactly N rows of which this holds: 'income=>50K:500', 'sex=Female & age>=65:100'; they add up"
