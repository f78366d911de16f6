"""What the page and the notes of a forecast without a fit say."""

__all__ = ["TABLE"]

TABLE: dict[str, dict[str, str]] = {
    "title instant": {"en": "Forecasts of {data}", "zh": "{data} 的预测"},
    "instant series": {"en": "the series", "zh": "这些序列"},
    "instant heading": {"en": "The forecasts", "zh": "预测"},
    "instant band": {"en": "The band should hold four of five values.", "zh": "实际值应有五分之四落在带内。"},
    "instant choose": {"en": "Choose a series above the picture.", "zh": "在图上方选择序列。"},
    "instant more": {
        "en": "{more:,} more series are in the table of forecasts.",
        "zh": "其余 {more:,} 条序列见预测表。",
    },
    "instant choice": {"en": "Series", "zh": "序列"},
    "instant made": {
        "en": "Made at once by the forecaster that comes with memfold, without a fit",
        "zh": "由随 memfold 安装的预测模型直接给出，未经训练",
    },
    "season none": {
        "en": "no season is assumed: the calendar has none here, and the values show none",
        "zh": "不设季节周期：日历上没有，数值中也看不出",
    },
    "season none given": {"en": "no season is assumed, as given", "zh": "按设置不设季节周期"},
    "season given": {"en": "a season of {season:,} steps, as given", "zh": "季节周期 {season:,} 步（按设置）"},
    "season calendar": {
        "en": "a season of {season:,} steps, by the calendar",
        "zh": "季节周期 {season:,} 步（按日历）",
    },
    "season values": {
        "en": "a season of {season:,} steps, found in the values",
        "zh": "季节周期 {season:,} 步（由数值得出）",
    },
    "seasons given": {
        "en": "seasons of {short:,} and {long:,} steps, as given",
        "zh": "季节周期 {short:,} 步和 {long:,} 步（按设置）",
    },
    "seasons calendar": {
        "en": "seasons of {short:,} and {long:,} steps, by the calendar",
        "zh": "季节周期 {short:,} 步和 {long:,} 步（按日历）",
    },
    "seasons values": {
        "en": "seasons of {short:,} and {long:,} steps, found in the values",
        "zh": "季节周期 {short:,} 步和 {long:,} 步（由数值得出）",
    },
    "columns unused": {
        "en": "not used: {columns}; fit forecast can, by --set past=, future= or static=",
        "zh": "未使用的列：{columns}；fit forecast 可用 --set past=、future= 或 static= 使用",
    },
    "worth a fit": {
        "en": "there are {horizons:,} horizons to learn from: a fit may do better, memfold fit forecast --help",
        "zh": "数据的长度是预测步数的 {horizons:,} 倍，训练一个模型可能更好：memfold fit forecast --help",
    },
}
