"""What an explanation says."""

import json
from importlib.resources import files

__all__ = ["TABLE"]

TABLE: dict[str, dict[str, str]] = {
    "title": {"en": "Inside the {task} model", "zh": "{task} 模型的内部"},
    "task anomaly": {"en": "anomaly", "zh": "异常检测"},
    "task classify": {"en": "image-classifying", "zh": "图像分类"},
    "task command": {"en": "voice command", "zh": "语音命令"},
    "task detect": {"en": "object-detecting", "zh": "目标检测"},
    "task faces": {"en": "face-recognising", "zh": "人脸识别"},
    "task forecast": {"en": "forecasting", "zh": "预测"},
    "task generate": {"en": "text-writing", "zh": "文本生成"},
    "task sentiment": {"en": "text-classifying", "zh": "文本分类"},
    "task transcribe": {"en": "speech-recognising", "zh": "语音识别"},
    "task translate": {"en": "translating", "zh": "翻译"},
    "read": {"en": "What it read", "zh": "输入"},
    "answered": {"en": "What it answered", "zh": "输出"},
    "footer": {
        "en": "Made by memfold {version}. This page works without a network.",
        "zh": "由 memfold {version} 生成。本页无需网络。",
    },
    # -- the viewer
    "viewer": {"en": "Every gate at every step", "zh": "每一步的每个门"},
    "viewer text": {
        "en": "Choose a layer, a value and a unit; move through time with the slider, or tap a step, a cell of the map "
        "or a place in the curves. Blue is positive, orange negative.",
        "zh": "选择层、数值和单元；用滑块移动时间，或点击某一步、图中的格子或曲线上的位置。蓝色为正，橙色为负。",
    },
    "layer": {"en": "layer", "zh": "层"},
    "value": {"en": "value", "zh": "数值"},
    "unit": {"en": "unit", "zh": "单元"},
    "step": {"en": "step", "zh": "步"},
    "units by steps": {"en": "All units at all steps", "zh": "所有单元在所有步的数值"},
    "map text": {
        "en": "A row for each unit, a column for each step; the units that keep longest are on top. Tap to choose.",
        "zh": "每个单元一行，每一步一列；保持时间最长的单元在最上面。点击即可选择。",
    },
    "left out": {
        "en": "To keep this page small, {shown} of the layer's {all} units are in it: those whose output varies most.",
        "zh": "为使本页保持小巧，该层 {all} 个单元中只收入 {shown} 个：输出变化最大的那些。",
    },
    "coupled": {
        "en": "The gates are coupled: i = 1 − f",
        "zh": "两个门是耦合的：i = 1 − f",
    },
    "path member": {"en": "network {number}", "zh": "网络 {number}"},
    "path layer": {"en": "layer {number}", "zh": "第 {number} 层"},
    "path block": {"en": "block {number}", "zh": "模块 {number}"},
    "path reverse": {"en": "backwards", "zh": "反向"},
    "path encoder": {"en": "encoder", "zh": "编码器"},
    "path decoder": {"en": "decoder", "zh": "解码器"},
    "path columns": {"en": "columns", "zh": "列"},
    "path rows": {"en": "rows", "zh": "行"},
    "path fine": {"en": "fine scale", "zh": "细尺度"},
    "path middle": {"en": "middle scale", "zh": "中尺度"},
    "path coarse": {"en": "coarse scale", "zh": "粗尺度"},
    "path first": {"en": "decoder, lower", "zh": "解码器下层"},
    "path upper": {"en": "decoder, upper", "zh": "解码器上层"},
    "one unit": {"en": "The chosen unit", "zh": "所选单元"},
    "half-life": {
        "en": "half of what it writes is gone after {steps} steps",
        "zh": "写入的内容经 {steps} 步减半",
    },
    "keeps all": {"en": "more than half of what it writes is kept to the end", "zh": "写入的内容有一半以上保留到最后"},
    "ledger": {"en": "What its memory is made of at this step", "zh": "此刻的记忆由什么构成"},
    "ledger text": {
        "en": "Each bar is what is left of what a step wrote: i·g times every later f (of a GRU (1−z)·n times every "
        "later z). From before the first step: {start}. The sum {total} is the memory itself.",
        "zh": "每根柱子是某一步所写内容的剩余：i·g 乘以其后所有的 f（GRU 为 (1−z)·n 乘以其后所有的 z）。"
        "第一步之前留下：{start}。总和 {total} 就是记忆本身。",
    },
    "no ledger": {
        "en": "This state is no sum of what the steps wrote, so there is no account of it.",
        "zh": "这种状态不是各步所写内容之和，因此没有账目。",
    },
    "followers": {"en": "Units that follow something", "zh": "跟随某种特征的单元"},
    "followers text": {
        "en": "Found on the first half of the text, scored on the second (AUC, 0.5 is chance; correlation, 0 is "
        "chance). Of many units one always fits best: believe the score on the second half.",
        "zh": "在文本前半部分寻找，在后半部分评分（AUC 以 0.5 为随机，相关系数以 0 为随机）。"
        "单元众多时总有一个最合适：应相信后半部分的分数。",
    },
    "feature quotes": {"en": "within quotes", "zh": "引号之内"},
    "feature line position": {"en": "position in the line", "zh": "行内位置"},
    "feature indentation": {"en": "indentation", "zh": "缩进"},
    "feature word boundary": {"en": "end of a word", "zh": "词的结尾"},
    "feature sentiment": {"en": "class of the text", "zh": "文本的类别"},
    # -- pictures that every task has
    "shares": {"en": "What the answer owes to each step", "zh": "各步对答案的贡献"},
    "integrated gradients": {"en": "integrated gradients", "zh": "积分梯度"},
    "occlusion": {"en": "occlusion", "zh": "遮挡法"},
    "share": {"en": "share in the score", "zh": "对得分的贡献"},
    "flow": {"en": "How far back the gradient reaches", "zh": "梯度能回溯多远"},
    "flow text": {
        "en": "The norm of the score's gradient by each layer's output h at every step: where it is high, what the "
        "layer said there matters to the answer.",
        "zh": "得分对各层每一步输出 h 的梯度范数：值高之处，该层在那里的输出影响答案。",
    },
    "gradient": {"en": "norm of the gradient", "zh": "梯度范数"},
    "time": {"en": "time", "zh": "时间"},
    "seconds": {"en": "seconds", "zh": "秒"},
    # -- forecast
    "forecast": {"en": "The forecast, and the inputs that mattered", "zh": "预测与起作用的输入"},
    "forecast text": {
        "en": "Series {series}. The bars (right axis) share the forecast's mean out among the values it was made from.",
        "zh": "序列 {series}。柱状图（右轴）把预测均值分摊到它所依据的各个数值上。",
    },
    "seen": {"en": "what was seen", "zh": "已见数值"},
    "median": {"en": "forecast", "zh": "预测"},
    "interval": {"en": "80 % interval", "zh": "80% 区间"},
    "score forecast": {
        "en": "The score is the mean of the forecast's medians, in units of the window's scale.",
        "zh": "得分是预测中位数的均值，以窗口尺度为单位。",
    },
    # -- anomaly
    "anomaly": {"en": "Expected and actual", "zh": "预期与实际"},
    "anomaly text": {
        "en": "{points} points of {variable}, {alarms} alarms. The band should hold four of five points.",
        "zh": "{variable} 的 {points} 个点，{alarms} 次警报。带状区间应包含五分之四的点。",
    },
    "actual": {"en": "actual", "zh": "实际值"},
    "anomaly score": {"en": "score, right axis", "zh": "得分（右轴）"},
    "alarm": {"en": "alarm", "zh": "警报"},
    "score anomaly": {
        "en": "The score is what the network predicts for the last point, in the series' running units.",
        "zh": "得分是网络对最后一点的预测值，以序列的滑动尺度为单位。",
    },
    # -- text
    "surprise": {"en": "How surprising each piece was", "zh": "每个字符有多意外"},
    "surprise text": {
        "en": "−ln of the probability that the model gave to the actual character; lower is better.",
        "zh": "模型赋予实际字符的概率取 −ln；越低说明预测得越准。",
    },
    "nats": {"en": "nats", "zh": "奈特"},
    "next": {"en": "likeliest next: {pieces}", "zh": "最可能的下一个：{pieces}"},
    "score generate": {
        "en": "The score is the logarithm of the probability of the last piece, given those before it.",
        "zh": "得分是在前文给定时最后一个字符概率的对数。",
    },
    "attention sentiment": {"en": "Where it looked", "zh": "注意力所在"},
    "attention sentiment text": {
        "en": "The weight of each word in the pooled sum, averaged over the networks.",
        "zh": "各词在加权汇总中的权重，对各网络取平均。",
    },
    "weight": {"en": "weight", "zh": "权重"},
    "score sentiment": {
        "en": "The score is the log-odds of the class {label} in the answer, in which the LSTMs have a share of "
        "{lstms} and the linear model of n-grams one of {linear}. The words add {by_lstms} to it through the LSTMs and "
        "{by_linear} through the linear model. Alone, the LSTMs give this class a probability of {p_lstms}, the linear "
        "model one of {p_linear}.",
        "zh": "得分是答案中类别 {label} 的对数几率；答案里 LSTM 占 {lstms}，n-gram 线性模型占 {linear}。"
        "各词通过 LSTM 给得分加上 {by_lstms}，通过线性模型加上 {by_linear}。"
        "单独来看，LSTM 给这一类的概率是 {p_lstms}，线性模型给的是 {p_linear}。",
    },
    # -- translate
    "attention": {"en": "Where the decoder looked", "zh": "解码器的注意力"},
    "attention text": {
        "en": "A row for each piece of the translation; dark where the attention to a piece of the source is high.",
        "zh": "译文每个片段一行；颜色越深，对原文该片段的注意力越高。",
    },
    "source": {"en": "source", "zh": "原文"},
    "target": {"en": "translation", "zh": "译文"},
    "score translate": {
        "en": "The score is the log-probability of the whole translation; the steps are those of the source.",
        "zh": "得分是整个译文的对数概率；各步是原文的各个片段。",
    },
    # -- sound
    "posteriors": {"en": "What it heard when", "zh": "何时听到什么"},
    "posteriors text": {
        "en": "The probability of every character at every step. Between two of them the blank stands: no character.",
        "zh": "每一步每个字符的概率。字符之间是空白符，表示没有字符。",
    },
    "blank": {"en": "blank", "zh": "空白"},
    "character": {"en": "character", "zh": "字符"},
    "score transcribe": {
        "en": "The score is the sum of the log-probabilities of the likeliest character at every step.",
        "zh": "得分是每一步最可能字符的对数概率之和。",
    },
    "commands": {"en": "The commands' scores over time", "zh": "各命令得分随时间的变化"},
    "commands text": {
        "en": "How much likelier each command is than none (the logarithm of the ratio), averaged over the last "
        "{window} s; an event begins where one reaches the threshold.",
        "zh": "各命令与“无命令”的概率之比的对数，取最近 {window} 秒的平均；当其达到阈值时，事件开始。",
    },
    "log ratio": {"en": "log ratio to no command", "zh": "与“无命令”之比的对数"},
    "threshold": {"en": "threshold", "zh": "阈值"},
    "heard": {"en": "{command} at {time} s", "zh": "{time} 秒：{command}"},
    "whole command": {
        "en": "of the recording as a whole, {label} has a probability of {sure}",
        "zh": "就整段录音而言，{label} 的概率是 {sure}",
    },
    "nothing": {"en": "nothing", "zh": "无"},
    "score command": {
        "en": "The score is the log-probability of the command {label}.",
        "zh": "得分是命令 {label} 的对数概率。",
    },
    # -- images
    "picture": {"en": "The picture", "zh": "图像"},
    "picture text": {
        "en": "As the model sees it: {width} by {height} pixels.",
        "zh": "模型所见的图像：{width} × {height} 像素。",
    },
    "covered": {"en": "What covering each part does", "zh": "遮住各处的影响"},
    "covered text": {
        "en": "The colour shows how far the score drops when the mean colour hides {side} by {side} pixels there: blue "
        "speaks for the answer, orange against it. The viewer below reads the dotted row, y {row}, from left to right "
        "and back, and the dotted column, x {column}, down and up.",
        "zh": "颜色表示用平均颜色遮住该处 {side} × {side} 像素时得分损失多少：蓝色支持答案，橙色反对答案。"
        "下方的查看器沿虚线所示的行 y {row} 从左到右再返回读取，沿虚线所示的列 x {column} 从上到下再返回读取。",
    },
    "lost": {"en": "lost", "zh": "损失"},
    "score classify": {
        "en": "The score is the log-odds of the class {label}.",
        "zh": "得分是类别 {label} 的对数几率。",
    },
    "score detect": {
        "en": "The score is the log-odds of the likeliest centre: of the class {label}, at x {x}, y {y}.",
        "zh": "得分是最可能的中心的对数几率：类别 {label}，位于 x {x}、y {y}。",
    },
    "score detect box": {
        "en": "The score is the log-odds of the likeliest box: of the class {label}, its middle at x {x}, y {y}, the "
        "decoder's number {step} in its cell.",
        "zh": "得分是最可能的框的对数几率：类别 {label}，中心位于 x {x}、y {y}，是解码器在其格子里写出的第 {step} 个。",
    },
    "boxes": {"en": "boxes found", "zh": "检出的框"},
    "box of cell": {"en": "box {step}", "zh": "第 {step} 个框"},
    "known": {"en": "{person}, similarity {share}", "zh": "{person}，相似度 {share}"},
    "unknown": {
        "en": "nobody of the gallery; the most similar is {person}, {share}",
        "zh": "不在人脸库中；最相似的是 {person}，{share}",
    },
    "score faces": {
        "en": "The score is the similarity to the nearest picture in the gallery, of {person}.",
        "zh": "得分是与人脸库中最相近的图像（{person}）的相似度。",
    },
}


# What the values of a cell are called stands in the explorer's table, so that they have one name everywhere.
_SHARED = json.loads((files("memfold") / "explorer" / "strings.json").read_text("utf-8"))
TABLE |= {f"value {value}": _SHARED[f"value {value}"] for value in "ifgochrzn"}
