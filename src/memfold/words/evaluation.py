"""What the page of an evaluation says, and what a terminal says below the scores."""

__all__ = ["TABLE"]

TABLE: dict[str, dict[str, str]] = {
    # -- every task
    "evaluated": {"en": "{task}: {data}", "zh": "{task}评测：{data}"},
    "footer evaluation": {"en": "{count:,} parameters; {model}", "zh": "{count:,} 个参数；{model}"},
    "parameter count": {"en": "{count:,} parameters", "zh": "{count:,} 个参数"},
    "the plan": {"en": "The plan", "zh": "拟合的选择"},
    "winner": {"en": "best on the validation part", "zh": "验证集上最好的"},
    "learning curve": {"en": "Learning curve", "zh": "学习曲线"},
    "curve text": {
        "en": "{steps} steps in {seconds:.0f} s; the weights kept are those of step {best}.",
        "zh": "共 {steps} 步，用时 {seconds:.0f} 秒；保留的是第 {best} 步的权重。",
    },
    "curve level": {
        "en": "The dotted line across is the best baseline that has the same measure, {name}: {value:.4g}.",
        "zh": "横贯的点线是能用同一指标衡量的最好基线“{name}”：{value:.4g}。",
    },
    "curve won": {
        "en": "On the validation part the whole model won, with {metric} {ours:.4g} against {theirs:.4g} of {other}.",
        "zh": "在验证集上整个模型胜出：{metric} 为 {ours:.4g}，而“{other}”为 {theirs:.4g}。",
    },
    "curve drawn": {
        "en": "On the validation part the whole model and {other} were equal, with {metric} {ours:.4g} and "
        "{theirs:.4g}.",
        "zh": "在验证集上整个模型与“{other}”不分上下：{metric} 分别为 {ours:.4g} 和 {theirs:.4g}。",
    },
    "curve lost": {
        "en": "On the validation part {other} won, with {metric} {theirs:.4g} against {ours:.4g} of the whole model.",
        "zh": "在验证集上胜出的是“{other}”：{metric} 为 {theirs:.4g}，而整个模型为 {ours:.4g}。",
    },
    "advice lost": {
        "en": "{name} is better than the model here; what to try:",
        "zh": "这里“{name}”比模型更好；可以这样试：",
    },
    "advice on page": {"en": "What to try: {ways}.", "zh": "可以这样试：{ways}。"},
    "between ways": {"en": "; ", "zh": "；"},
    "advice longer": {
        "en": "the validation score was still getting better when the budget ended ({steps:,} steps, {passes} passes "
        "over the data): a longer one, such as --budget {budget}",
        "zh": "预算用完时验证得分仍在变好（共 {steps:,} 步，数据过了 {passes} 遍）：加长预算，例如 --budget {budget}",
    },
    "advice by heart": {
        "en": "the training loss went on falling after step {best:,} of {steps:,}, where the validation score was "
        "best: the network learns its examples by heart; more data helps most, then more dropout or a smaller network",
        "zh": "验证得分在第 {best:,} 步（共 {steps:,} 步）最好，此后训练损失仍在下降：网络在死记样本；"
        "最有用的是更多数据，其次是加大 dropout 或缩小网络",
    },
    "advice few passes": {
        "en": "the budget was enough for {passes} passes over the data alone: a longer one, such as --budget {budget}, "
        "or a smaller network",
        "zh": "预算只够把数据过 {passes} 遍：加长预算，例如 --budget {budget}，或者缩小网络",
    },
    "advice few examples": {
        "en": "the rarest class, {label!r}, has {count} examples to train on: more of each class, of which a network "
        "needs more than a baseline does",
        "zh": "最少的一类 {label!r} 只有 {count} 个训练样本：给每一类更多样本，网络比基线需要得更多",
    },
    "advice size": {
        "en": "neither the budget nor the data stands out as too small: another size, such as memfold tune finds it",
        "zh": "看不出预算或数据明显不足：换一种规模，例如用 memfold tune 搜索",
    },
    "training loss": {"en": "training loss", "zh": "训练损失"},
    "training loss apart": {"en": "training loss, right axis", "zh": "训练损失（右轴）"},
    "scores": {"en": "Scores", "zh": "得分"},
    "validation": {"en": "validation", "zh": "验证"},
    "confusion": {"en": "Answers by true class", "zh": "各真实类别的回答"},
    "confusion command": {"en": "Answers by true command", "zh": "各真实命令的回答"},
    "confusion text": {
        "en": "Examples of each class, a row, by the class they were taken for.",
        "zh": "每行是一个真实类别的样本，按被判成的类别分列。",
    },
    "confusion most": {
        "en": "The {most} classes that are confused most.",
        "zh": "只列出最易混淆的 {most} 个类别。",
    },
    "confusion corner": {"en": "true class / answer", "zh": "真实类别 / 回答"},
    "confused": {"en": "Examples of the worst confusions", "zh": "最严重混淆的例子"},
    "choose series": {"en": "Series", "zh": "序列"},
    # -- forecast
    "forecasts of": {"en": "Forecasts of {data}", "zh": "{data} 的预测"},
    "the series": {"en": "the series", "zh": "各序列"},
    "forecasts": {"en": "The forecasts", "zh": "预测"},
    "forecasts one": {
        "en": "1 forecast, made from the values before it. The band should hold four of five values.",
        "zh": "1 次预测，由它之前的数值作出。带状区间应包含五分之四的数值。",
    },
    "forecasts many": {
        "en": "{origins} forecasts, each made from the values before it. The band should hold four of five values.",
        "zh": "{origins} 次预测，每次都由它之前的数值作出。带状区间应包含五分之四的数值。",
    },
    "forecasts choose": {"en": "Choose a series above the picture.", "zh": "可在图的上方选择序列。"},
    "tap a name": {
        "en": "Tap a name below the picture to show or hide it.",
        "zh": "点击图下方的名称可以显示或隐藏它。",
    },
    "series worst": {"en": "worst: {name}, MASE {error:.2f}", "zh": "最差：{name}，MASE {error:.2f}"},
    "series median": {"en": "median: {name}, MASE {error:.2f}", "zh": "居中：{name}，MASE {error:.2f}"},
    "series best": {"en": "best: {name}, MASE {error:.2f}", "zh": "最好：{name}，MASE {error:.2f}"},
    "series any": {"en": "{name}, MASE {error:.2f}", "zh": "序列 {name}，MASE {error:.2f}"},
    "by origin": {"en": "Error by origin", "zh": "按预测起点的误差"},
    "by origin text": {
        "en": "Mean absolute scaled error over the horizon after each origin, averaged over the series.",
        "zh": "每个起点之后整个预测期内的平均绝对标度误差（MASE），对各序列取平均。",
    },
    "last seen": {"en": "last value seen", "zh": "最后一个已知值的时间"},
    "origins": {"en": "origins, the last one being 0", "zh": "起点，最后一个为 0"},
    "by step": {"en": "Error by step ahead", "zh": "按提前步数的误差"},
    "by step text": {
        "en": "Mean absolute scaled error by the number of steps ahead, averaged over the series and origins.",
        "zh": "各提前步数的平均绝对标度误差（MASE），对各序列和各起点取平均。",
    },
    "steps ahead": {"en": "steps ahead", "zh": "提前步数"},
    # -- anomaly
    "watched": {"en": "Expected and actual", "zh": "预期与实际"},
    "watched skipped": {
        "en": "The {skipped:,} points before them, from which what is usual is learned, are not counted.",
        "zh": "在它们之前的 {skipped:,} 个点用来了解正常情况，不计入。",
    },
    "watched text": {
        "en": "{points:,} points, {alarms:,} of them alarms. The band should hold four of five points.",
        "zh": "共 {points:,} 个点，其中 {alarms:,} 个触发警报。带状区间应包含五分之四的点。",
    },
    "watched some": {
        "en": "The first {shown} of {all} series are drawn.",
        "zh": "共 {all} 个序列，只画出前 {shown} 个。",
    },
    "labelled": {"en": "labelled", "zh": "标注的异常"},
    "numbered series": {"en": "series {number}", "zh": "序列 {number}"},
    "expected": {"en": "expected, 80 %", "zh": "预期，80%"},
    "alarms": {"en": "Alarms: {count}", "zh": "警报：{count} 次"},
    "alarms most": {
        "en": "The {shown} most unusual of {count} alarms",
        "zh": "{count} 次警报中最不寻常的 {shown} 次",
    },
    "reason spike": {"en": "spike", "zh": "尖峰"},
    "reason shift": {"en": "shift", "zh": "偏移"},
    "reason level": {"en": "level", "zh": "水平"},
    "reason shape": {"en": "shape", "zh": "形状"},
    "reason stuck": {"en": "stuck", "zh": "停滞"},
    "reason gap": {"en": "gap", "zh": "时间间断"},
    "reason joint": {"en": "joint", "zh": "各变量联合"},
    "by folder": {"en": "By folder, one threshold for all", "zh": "按文件夹，共用一个阈值"},
    # -- images
    "worst mistakes": {"en": "The worst mistakes", "zh": "最严重的错误"},
    "worst mistakes text": {
        "en": "{wrong} of {all} answers are wrong; those come first that give the true class the least.",
        "zh": "{all} 个回答中有 {wrong} 个错误；给真实类别的概率最低的排在最前。",
    },
    "no mistakes": {"en": "None of {all} answers is wrong.", "zh": "{all} 个回答全部正确。"},
    "taken for": {"en": "{truth} taken for {answer} ({sure:.0f} %)", "zh": "{truth} 被判成 {answer}（{sure:.0f}%）"},
    "so many classes": {"en": "{data}: {count} classes", "zh": "{data}：{count} 个类别"},
    "boxes in": {"en": "Boxes in {data}", "zh": "{data} 中的目标框"},
    "images": {"en": "images", "zh": "图像"},
    "image worst": {"en": "Among the worst: {name}", "zh": "较差的结果：{name}"},
    "image typical": {"en": "Typical: {name}", "zh": "典型的结果：{name}"},
    "image text": {
        "en": "{hits} found, {missed} missed, {wrong} wrong.",
        "zh": "检出 {hits} 个，漏检 {missed} 个，误检 {wrong} 个。",
    },
    "boxes found": {"en": "found: {count}", "zh": "检出：{count}"},
    "boxes missed": {"en": "missed: {count}", "zh": "漏检：{count}"},
    "boxes wrong": {"en": "wrong: {count}", "zh": "误检：{count}"},
    "boxes true": {"en": "all true ones: {count}", "zh": "全部真实框：{count}"},
    "precision and recall": {"en": "Precision and recall", "zh": "精确率与召回率"},
    "precision and recall text": {
        "en": "Precision among the boxes with the highest scores, at every share of the true boxes that they find; a "
        "box is right where it overlaps a true one of its class by half of their union.",
        "zh": "依得分从高到低取框，在每个召回率处的精确率；与同类真实框的交并比达到一半的框算正确。",
    },
    "precision": {"en": "precision", "zh": "精确率"},
    "recall": {"en": "recall", "zh": "召回率"},
    "footer detect": {
        "en": "{count:,} parameters; {model}; boxes from a score of {thresholds} on",
        "zh": "{count:,} 个参数；{model}；只取得分不低于阈值的框：{thresholds}",
    },
    "by class": {
        "en": "By class; precision and recall of boxes that score FROM or more",
        "zh": "各类别；精确率与召回率只计得分不低于“起始得分”的框",
    },
    "images a second": {
        "en": "{speed:.3g} images a second, reading apart",
        "zh": "每秒 {speed:.3g} 幅图像，不含读取时间",
    },
    "inference": {
        "en": "inference: {speed:,.0f} images a second on {threads} threads",
        "zh": "推理速度：{threads} 个线程每秒 {speed:,.0f} 幅图像",
    },
    "nearest faces": {"en": "Nearest faces", "zh": "最相似的人脸"},
    "nearest faces text": {
        "en": "Here the scored pictures are compared with each other; rank1 compares them with the gallery. For "
        "{right} of {all} the most similar other one shows the same person. From a similarity of {threshold:.3f} on, "
        "somebody is known.",
        "zh": "这里是评测图像之间互相比较，而 rank1 是与人脸库比较。{all} 幅中有 {right} 幅的最相似图像是同一个人。"
        "相似度达到 {threshold:.3f} 即认为是已知的人。",
    },
    "faces known": {
        "en": "known from a similarity of {threshold:.3f} on: {refused} of {count} pictures of known people refused",
        "zh": "相似度达到 {threshold:.3f} 算已知的人：已知的人的 {count} 幅图像中有 {refused} 幅被拒绝",
    },
    "faces verified": {
        "en": "verification at the threshold {threshold:.3f}: {refused} of {same} pairs of one person refused, "
        "{accepted} of {others} pairs of two accepted",
        "zh": "以 {threshold:.3f} 为阈值做人脸验证：同一人的 {same} 对中有 {refused} 对被拒绝，"
        "不同人的 {others} 对中有 {accepted} 对被接受",
    },
    "faces gallery": {
        "en": "gallery: {pictures} pictures of {people} people",
        "zh": "人脸库：{people} 人的 {pictures} 幅图像",
    },
    "faces strangers": {
        "en": "{count} people are not in the gallery and left out of rank1",
        "zh": "有 {count} 人不在人脸库中，rank1 不计他们",
    },
    "faces stranger": {
        "en": "{name!r} is not in the gallery and left out of rank1",
        "zh": "{name!r} 不在人脸库中，rank1 不计此人",
    },
    # -- text
    "influential": {"en": "Most influential words, by blanking", "zh": "影响最大的词（以空白替换来衡量）"},
    "what mattered": {"en": "What mattered in the worst mistakes", "zh": "最严重的错误中什么起了作用"},
    "what mattered text": {
        "en": "Blue speaks for the predicted class, orange against it: integrated gradients of its log-odds in the "
        "whole answer, through the LSTMs and through the linear model of n-grams, both on one scale.",
        "zh": "蓝色支持预测的类别，橙色反对它：数值是该类别在整个答案中的对数几率的积分梯度，"
        "分为经由 LSTM 和经由 n-gram 线性模型两部分，两者同一尺度。",
    },
    "choose text": {"en": "Text", "zh": "文本"},
    "mistaken text": {
        "en": "{number}: {actual}, predicted {predicted}",
        "zh": "{number}：实际 {actual}，预测 {predicted}",
    },
    "half lstms": {"en": "Through the LSTMs: {sum:+.2f}", "zh": "经由 LSTM：{sum:+.2f}"},
    "half linear": {
        "en": "Through the linear model of n-grams: {sum:+.2f}",
        "zh": "经由 n-gram 线性模型：{sum:+.2f}",
    },
    "pieces": {"en": "How surprising each piece is", "zh": "每个片段有多意外"},
    "pieces text": {
        "en": "The beginning of the text; the bluer, the more surprising.",
        "zh": "文本的开头；越蓝，模型越感到意外。",
    },
    "sample": {"en": "What the model writes", "zh": "模型写出的文本"},
    "looked": {"en": "Where the decoder looked", "zh": "解码器的注意力"},
    "looked corner": {"en": "translation / source", "zh": "译文 / 原文"},
    "choose sentence": {"en": "Sentence", "zh": "句子"},
    "samples": {"en": "Some translations", "zh": "部分译文"},
    "signature": {"en": "{metric}: {signature}", "zh": "{metric} 的计算方式：{signature}"},
    # -- sound
    "worst recordings": {"en": "The worst recordings", "zh": "错误最多的录音"},
    "nothing written": {"en": "nothing", "zh": "（无）"},
    "space": {"en": "space", "zh": "空格"},
    "characters taken": {"en": "Characters taken for others", "zh": "被误认的字符"},
    "wer of characters": {
        "en": "wer: of scripts without spaces, such as Chinese, every character counts as a word",
        "zh": "wer：中文等不用空格的文字，每个字算一个词",
    },
    "stream cost": {
        "en": "network: {cost:.0f} µs of one core for each frame of 10 ms of a stream",
        "zh": "网络：流式处理时，每 10 毫秒一帧占用单核 {cost:.0f} 微秒",
    },
    "command cost": {
        "en": "stream: {cost:.0f} µs of one core for each frame of 10 ms",
        "zh": "流式处理：每 10 毫秒一帧占用单核 {cost:.0f} 微秒",
    },
    "false alarms": {
        "en": "false alarms: {alarms} in {hours:.2f} hours of background, threshold {threshold:.2f}",
        "zh": "误报：{hours:.2f} 小时背景声中有 {alarms} 次，阈值为 {threshold:.2f}",
    },
    "words in time": {"en": "The words and when they were said", "zh": "每个词的时间"},
    "words in time text": {
        "en": "Each word stands from the step of its first character to the end of that of its last, on the likeliest "
        "path of the network's steps that spells the text (forced alignment by CTC, Viterbi). A step is "
        "{step:.0f} ms; the network may write a character somewhat before or after its sound.",
        "zh": "每个词从其首字符所在的步画到末字符所在步的末尾，取网络各步中拼出该文本的最可能路径"
        "（CTC 强制对齐，Viterbi 算法）。一步为 {step:.0f} 毫秒；网络写出字符的时刻可能略早或略晚于其声音。",
    },
    "words shown": {
        "en": "The recordings with the highest character error rates.",
        "zh": "所示为字符错误率最高的录音。",
    },
    "choose recording": {"en": "Recording", "zh": "录音"},
    "as said": {"en": "as it was said", "zh": "与原话相同"},
    "otherwise": {"en": "otherwise", "zh": "与原话不同"},
    "words cut": {
        "en": "The first {shown} of {all} words.",
        "zh": "共 {all} 个词，只画出前 {shown} 个。",
    },
}
