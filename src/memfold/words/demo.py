"""What the report of ``memfold demo`` says."""

__all__ = ["TABLE"]

TABLE: dict[str, dict[str, str]] = {
    "title demo": {"en": "Births, taxis and a memory", "zh": "出生人数、出租车和一段记忆"},
    "demo data": {
        "en": "@{series}, {origins} forecasts of {horizon} days",
        "zh": "@{series}：{origins} 次预测，每次 {horizon} 天",
    },
    "demo better": {
        "en": "The LSTM's mean absolute scaled error is {ours:.3f}, {difference:.0%} less than that of the best "
        "baseline, {best}. {others}",
        "zh": "LSTM 的平均绝对标度误差（MASE）为 {ours:.3f}，比最好的基线 {best} 低 {difference:.0%}。{others}",
    },
    "demo worse": {
        "en": "The LSTM's mean absolute scaled error is {ours:.3f}, {difference:.0%} more than that of the best "
        "baseline, {best}. {others}",
        "zh": "LSTM 的平均绝对标度误差（MASE）为 {ours:.3f}，比最好的基线 {best} 高 {difference:.0%}。{others}",
    },
    "demo others": {
        "en": "bundled is the forecaster that comes with memfold, which was trained on none of this and sees no "
        "holidays. Ridge is a linear model with the same past and the same calendar of holidays; Ridge(7) is one for "
        "each weekday. SeasonalNaive repeats last week.",
        "zh": "“自带的预测模型”随 memfold 一起安装，没有用这些数据训练过，也不知道节假日。"
        "岭回归是线性模型，所用的历史与节假日历和 LSTM 相同；带“每个星期几一个”的那种为一周的每一天各建一个模型。"
        "SeasonalNaive 重复上一周的数值。",
    },
    "demo watched": {"en": "What was unusual: New York's taxi passengers", "zh": "哪些时候不寻常：纽约的出租车乘客"},
    "demo watched text": {
        "en": "Trained on the first {warm:.0f} days, then watched for {days:.0f}, half-hour by half-hour: an alarm in "
        "{found} of {known} known events; false alarms: {false}.",
        "zh": "用前 {warm:.0f} 天训练，随后监测 {days:.0f} 天，每半小时一个点：{known} 个已知事件中有 {found} 个"
        "触发了警报；误报 {false} 次。",
    },
    "event marathon": {"en": "the marathon", "zh": "纽约马拉松"},
    "event thanksgiving": {"en": "Thanksgiving", "zh": "感恩节"},
    "event christmas": {"en": "Christmas", "zh": "圣诞节"},
    "event new year": {"en": "New Year", "zh": "新年"},
    "event snow": {"en": "the snow storm", "zh": "暴风雪"},
    "inside": {"en": "A look inside", "zh": "看看模型内部"},
    "memory": {
        "en": "Of all units of the LSTM, number {unit} keeps the mean of the last {season} days best: it reads the "
        "births of one day at a time, and its cell follows that mean with a correlation of {follows:.2f} on the "
        "{scored} days that it was not chosen on; half of what it holds is gone after {half_life:.1f} days.",
        "zh": "在 LSTM 的所有单元中，第 {unit} 号最能保持最近 {season} 天的均值：它每次只读入一天的出生人数，"
        "而在没有用来挑选它的 {scored} 天里，它的记忆 c 与该均值的相关系数为 {follows:.2f}；"
        "它所记的内容经 {half_life:.1f} 天减半。",
    },
    "births": {"en": "births", "zh": "出生人数"},
    "memory cell": {"en": "cell of unit {unit}, right axis", "zh": "单元 {unit} 的记忆 c（右轴）"},
    "memory cell upside down": {
        "en": "cell of unit {unit}, right axis, upside down",
        "zh": "单元 {unit} 的记忆 c（右轴，上下颠倒）",
    },
    "memory mean": {"en": "mean of the last {season}", "zh": "最近 {season} 天的均值"},
}
