"""Write keras_layers.keras and keras_layers.json, which test_layers.py reads: a model of Keras 3 and what it answers.

pip install keras==3.15.1 torch==2.13.0 h5py
KERAS_BACKEND=torch python tests/formats/make_keras.py
"""

import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def main() -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    steps = {"return_sequences": True}
    model = keras.Sequential(
        [
            keras.Input((None, 3)),
            layers.LSTM(4, bias_initializer="random_normal", name="mine", **steps),
            layers.Bidirectional(layers.GRU(5, bias_initializer="random_normal", **steps), name="both"),
            layers.GRU(4, reset_after=False, bias_initializer="random_normal", **steps),
            layers.LSTM(4, use_bias=False, **steps),
            layers.Bidirectional(layers.LSTM(3, **steps)),
            layers.SimpleRNN(6, activation="relu", bias_initializer="random_normal", **steps),
            layers.SimpleRNN(5, **steps),
            layers.Dense(2),
        ]
    )
    model.save(HERE / "keras_layers.keras")
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
    answers, y = [], x
    for layer in model.layers[:-1]:
        y = np.asarray(keras.ops.convert_to_numpy(layer(y)))
        answers.append({"name": layer.name, "y": np.round(y.astype(float), 7).tolist()})
    (HERE / "keras_layers.json").write_text(json.dumps({"x": np.round(x.astype(float), 7).tolist(), "layers": answers}))


if __name__ == "__main__":
    main()
