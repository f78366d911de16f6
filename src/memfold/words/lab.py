"""What the page of an experiment says."""

__all__ = ["TABLE"]

TABLE: dict[str, dict[str, str]] = {
    "title lab": {"en": "memfold lab {name}", "zh": "实验：memfold lab {name}"},
    "what adding": {
        "en": "Two of the numbers are marked: what is their sum? Right within 0.04; the constant 1 has an error of "
        "1/6.",
        "zh": "若干数中有两个被标记：它们的和是多少？误差不超过 0.04 算对；总是回答 1 的误差是 1/6。",
    },
    "what copy": {
        "en": "Ten symbols, then silence: what were they? Right where all ten are.",
        "zh": "十个符号，然后是空白：它们是什么？十个全对才算对。",
    },
    "what order": {
        "en": "An X or a Y comes early and another one late, among symbols that mean nothing: in which order?",
        "zh": "在无意义的符号之间，前部有一个 X 或 Y，后部又有一个：它们是什么顺序？",
    },
    "what timing": {
        "en": "Spikes come every LAG steps or every LAG - 1: which is it?",
        "zh": "脉冲每隔 LAG 步或 LAG − 1 步出现一次：是哪一种？",
    },
    "what reber": {
        "en": "What may come next in the embedded Reber grammar? Right where that is predicted at every step of a "
        "string.",
        "zh": "在嵌入式 Reber 文法中接下来可以是什么？一个串的每一步都预测正确才算对。",
    },
    "what pixels": {
        "en": "Handwritten digits, read pixel by pixel in 784 steps: accuracy on the test part, in per cent",
        "zh": "手写数字，逐像素分 784 步读入：测试集上的准确率（%）",
    },
    "what gradient": {
        "en": "The gradient of the loss by h, so many steps before it, as a share of the gradient at the last step",
        "zh": "损失对若干步之前的 h 的梯度，与对最后一步 h 的梯度之比",
    },
    "at lag": {"en": "lag {lag}", "zh": "间隔 {lag}"},
    "with seed": {"en": "{cell}, seed {seed}", "zh": "{cell}，种子 {seed}"},
    "yes": {"en": "yes", "zh": "是"},
    "no": {"en": "no", "zh": "否"},
    "solved of": {"en": "{solved} of {all}", "zh": "{all} 次中 {solved} 次"},
    "wrong of": {"en": "wrong of {all}", "zh": "{all} 个中的错误数"},
    "inputs of": {"en": "inputs of deviation {scale:g}", "zh": "输入的标准差为 {scale:g}"},
    "case": {"en": "{cell}, {init}, inputs {scale:g}", "zh": "{cell}，{init}，输入 {scale:g}"},
    "case biased": {
        "en": "{cell}, {init}, forget bias {bias:g}, inputs {scale:g}",
        "zh": "{cell}，{init}，遗忘门偏置 {bias:g}，输入 {scale:g}",
    },
    # -- what papers claim
    "claim": {"en": "{paper}: {cell} {does} it {span}", "zh": "{paper}：{cell} {span}{does}"},
    "claim solves": {"en": "solves", "zh": "能解决"},
    "claim fails": {"en": "does not solve", "zh": "不能解决"},
    "claim at": {"en": "at {lag:g}", "zh": "在间隔为 {lag:g} 时"},
    "claim from": {"en": "from {shortest:g} on", "zh": "从间隔 {shortest:g} 起"},
    "claim between": {"en": "from {shortest:g} to {longest:g}", "zh": "在间隔为 {shortest:g} 到 {longest:g} 时"},
    "finding": {"en": "{claim}; {verdict}", "zh": "{claim}；{verdict}"},
    "verdict untried": {"en": "not tried here", "zh": "本次没有试验"},
    "verdict so": {"en": "so it is here (at {lags})", "zh": "本次结果相同（间隔 {lags}）"},
    "verdict against": {
        "en": "NOT FOUND here: {against} of {tried} runs went the other way (at {lags})",
        "zh": "本次结果不同：{tried} 次训练中有 {against} 次与之相反（间隔 {lags}）",
    },
    "published reached": {
        "en": "Bai, Kolter & Koltun 2018, {order}, {cell}: {published} %; at least as good here, {accuracy:.2f} % "
        "after {epochs:.1f} epochs",
        "zh": "Bai、Kolter 与 Koltun 2018，{order}，{cell}：{published}%；本次不低于此，{epochs:.1f} 轮后为 "
        "{accuracy:.2f} %",
    },
    "published not reached": {
        "en": "Bai, Kolter & Koltun 2018, {order}, {cell}: {published} %; NOT reached here, {accuracy:.2f} % after "
        "{epochs:.1f} epochs",
        "zh": "Bai、Kolter 与 Koltun 2018，{order}，{cell}：{published}%；本次未达到，{epochs:.1f} 轮后为 "
        "{accuracy:.2f} %",
    },
    "gradient smaller": {
        "en": "[{case}]: its gradient at lag {lag} is {ratio:.2g} times smaller than that of [{other}]; that it is at "
        "least {factor:,.0f} times smaller {holds}",
        "zh": "[{case}]：间隔 {lag} 处的梯度是 [{other}] 的 {ratio:.2g} 分之一；“至多为其 {factor:,.0f} 分之一”{holds}",
    },
    "gradient greater": {
        "en": "[{case}]: its gradient at lag {lag} is {ratio:.2g} times greater than that of [{other}]; that it is at "
        "least {factor:,.0f} times smaller {holds}",
        "zh": "[{case}]：间隔 {lag} 处的梯度是 [{other}] 的 {ratio:.2g} 倍；“至多为其 {factor:,.0f} 分之一”{holds}",
    },
    "holds": {"en": "holds", "zh": "成立"},
    "holds not": {"en": "does NOT hold", "zh": "不成立"},
}
