// What the engine takes and offers: plain data, and a table of functions for each instruction set and precision.
// Nothing in here is compiled for an instruction set, so every part of the library may include it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace memfold {

// The cells, and `linear`, y = W x + b: no state, no hidden weights.
enum class Kind : int {
#define MEMFOLD_CELL(name, Cell) name,
#include "cells.def"
    linear
};

inline constexpr int most_states = 4;

// What a cell is to whoever holds its arrays: made from the cell's own constants in cells.hpp.
struct Traits {
    const char* name;
    int gates;         // blocks of H rows in its weights
    int accumulators;  // sums of products in each unit
    int peepholes;     // blocks of H in its peephole weights, which it may do without
    int states;        // arrays (B, H) that a step hands to the next one; the first is h, which is the output
    int kept;          // arrays (B, H) that a step keeps for the gradient; all states but h are the last of them
    int passes;        // over the units in each step, 1 or 2: all units are through one before any begins the next
    const char *const *gate_names, *const *state_names, *const *kept_names;
};

// One layer in one direction.
struct Layer {
    Kind kind;
    int64_t input, hidden;
    bool peephole;
    bool half;  // products are those of bfloat16 numbers
};

// Row-major, gate after gate, G*H rows; null where there is none. Of const numbers a layer's weights, else where their
// gradients go.
template <typename Real>
struct Weights {
    Real* input;        // (G*H, I)
    Real* hidden;       // (G*H, H)
    Real* input_bias;   // (G*H)
    Real* hidden_bias;  // (G*H)
    Real* peephole;     // (3H) i f o; coupled (2H) i o
};

template <typename Real>
struct Options {
    Real clip;                  // infinity: none
    Real zoneout[most_states];  // of each state
};

// An array over time and batch whose last axis is contiguous; the strides count elements.
template <typename T>
struct Strided {
    T* data;
    int64_t time, batch;

    // Always inline: a definition of its own, compiled for one instruction set, could be linked for another.
    __attribute__((always_inline)) T* at(int64_t t, int64_t b) const { return data + t * time + b * batch; }
};

// What belongs to one direction of a fold.
template <typename Real>
struct Direction {
    const void* packed;
    bool reverse;
    const Real* first[most_states];  // of each state (B, H), null for zeros
    Real* last[most_states];         // (B, H)
    Strided<Real> y;                 // H wide; data null: not wanted, or
    Strided<uint16_t> y_rounded;     // the same in bfloat16, of a layer in bfloat16
    Strided<Real> kept;  // the cell's values of each step, one after the other, H wide each; data null: not kept
    const Real* mask;    // (B, H): factor on h before the hidden product, the same in all steps; null: none
    const Real* zones[most_states];  // (T, B, H): zoneout of each unit and step, in place of that of the options
};

// The rows of a batch: where each ends and where it is cut.
struct Sequences {
    int64_t time, batch;
    const int64_t* lengths;      // (B), null: every row is `time` long
    const int64_t* order;        // (B), rows from the longest to the shortest; null without lengths
    Strided<const bool> resets;  // data null: none
};

template <typename Real>
struct Fold {
    Layer layer;
    Options<Real> options;
    Sequences sequences;
    Strided<const Real> x;
    Direction<Real> directions[2];
    int direction_count;
};

// What belongs to one direction of a fold's backward pass; null where there is no gradient, or none is asked for.
template <typename Real>
struct Derivative {
    Weights<const Real> weights;
    Strided<const Real> dy;
    const Real* d_last[most_states];  // (B, H)
    Real* d_first[most_states];       // (B, H)
    Weights<Real> gradient;
};

// The backward pass of a fold whose y and kept values are there.
template <typename Real>
struct Backward {
    Fold<Real> fold;
    Derivative<Real> directions[2];
    Strided<Real> dx;
    int64_t steps;  // of all rows together
};

// How the work of a fold is laid out: every direction is folded in `blocks` independent blocks of rows, each by
// up to `shares` threads which divide the hidden units and meet after every step.
struct Plan {
    int blocks, shares;
    int64_t chunk;  // steps whose input product is made in advance; 0: it is made within the step
    int64_t span;   // steps after which a thread that folds a block by itself may leave it to another one
};

// What one thread does of a block, counted through the directions: from one step on and up to another, the units of
// share `share` of `shares`.
struct Span {
    int block, share, shares;
    int64_t from, to;
};

// What is to be done before the fold backwards in time, and after it: the weights transposed; then the gradients of the
// weights and of x, to which the second direction adds its own.
enum class Phase : int { prepare, gradients, second_dx };

// Where the threads of one block meet after a step: false when they go no further. Null: there is nobody to meet.
struct Meeting {
    bool (*meet)(void* place);
    void* place;
};

// One step of one layer for many streams, state and input in rows of the engine's own layout.
template <typename Real>
struct Step {
    Layer layer;
    Options<Real> options;
    const void* packed;
    int64_t rows;
    Strided<const Real> x;     // (1, rows, I)
    const Real* h;             // (rows, row_length): the hidden state before the step
    Real* state[most_states];  // and the state after it; all but h stand there before it too
    Strided<Real> y;           // data null: not wanted
    void* space;               // step_bytes
    int pass;                  // the one at hand, from 0
};

inline constexpr int most_step_parts = 64;

// A tensor of weights that AdamW moves: beside each the running means of its gradient and of the gradient's square, and
// its own running average. Without a gradient only the last of these is moved.
template <typename Real>
struct Moved {
    Real *weight, *mean, *square, *average;
    const Real* gradient;
};

// A step of AdamW.
template <typename Real>
struct Movement {
    Real scale;                 // of the gradient
    Real new_mean, new_square;  // share of the new gradient in the means
    Real step, root;            // factors of the mean and of the root of the mean square: with them they are unbiased
    Real epsilon, kept;         // what is kept of the weights
    Real share;                 // of the weights in their running average
};

// What x or h adds to the pre-activations of a fold by rows.
template <typename Real>
struct RowShare {
    int64_t width;         // of x, I, or of h, P
    const void* product;   // packed linear layer (G*H, width); backwards of the transposed weights, null: not asked for
    const Real* gain;      // of its normalization, (G*H); null: none
    Real *normed, *scale;  // (T, B, G*H) and (T, B): what the gradient needs of a normalization
};

// A fold of one layer in one direction whose steps need all units of a row at once: that of an LSTM with layer
// normalization or a projection of h. P is h's width, H without a projection. All arrays but x are contiguous.
template <typename Real>
struct RowFold {
    int64_t hidden;  // H
    bool coupled, reverse;
    Options<Real> options;
    Sequences sequences;
    RowShare<Real> by_x, by_h;
    const void* projection;  // packed linear layer of the cell's output, (P, H); null: none
    bool half;               // products are those of bfloat16 numbers
    const Real* bias;        // (G*H); null: none
    const Real* cell_gain;   // of the cell's normalization, (H); null: none
    const Real* peephole;    // (3H) i f o; coupled (2H) i o; null: none
    Strided<const Real> x;
    const Real* mask;      // (B, P): factor on h before its product, the same in all steps; null: none
    const Real* zones[2];  // (T, B, P) and (T, B, H), as of a Direction
    Real *h, *c;           // (B, P) and (B, H): the state before and after
    Real* y;               // (T, B, P); past a row's length it is not written, nor is what follows
    // What the gradient needs besides, all of them or none.
    Real* seen;                      // (T, B, P): h as its product sees it
    Real* before;                    // (T, B, H): c before the step
    Real* gates;                     // (T, B, G*H)
    Real* opened;                    // (T, B, H): what the output gate opens
    Real *cell_normed, *cell_scale;  // (T, B, H) and (T, B): of the cell's normalization
};

// Its backward pass.
template <typename Real>
struct RowBackward {
    RowFold<Real> fold;
    const Real* dy;         // (T, B, P)
    Real *dh, *dc;          // (B, P) and (B, H): by the state after the fold, and then by that before it
    Real* d_pre;            // (T, B, G*H): by the pre-activations
    Real *d_by_x, *d_by_h;  // (T, B, G*H): by the products; null without a normalization, as they are d_pre
    Real* dx;               // (T, B, I); null: not asked for
    Real* d_output;         // (T, B, P): by what the projection gives; null without one
    Real* d_opened;         // (T, B, H): by what tanh reads; null without a normalization
};

template <typename Real>
struct Functions {
    size_t (*packed_bytes)(const Layer&);
    void (*pack)(const Layer&, const Weights<const Real>&, void* packed);
    int64_t (*row_length)(int64_t hidden);                              // of a state in the engine's own layout
    Plan (*plan)(const Fold<Real>&, int threads, int64_t cache_bytes);  // of the second level, of each thread
    size_t (*workspace_bytes)(const Fold<Real>&, const Plan&);
    // Steps of a block, and a stretch of them, whose shares must run at the same time: returns the step that comes
    // next.
    int64_t (*steps)(const Fold<Real>&, const Plan&, int block);
    int64_t (*fold)(const Fold<Real>&, const Plan&, void* workspace, const Span&, const Meeting&);
    size_t (*backward_bytes)(const Backward<Real>&, const Plan&);
    // The phases of a backward pass, one after the other; the tasks of a phase in any order, by any thread.
    int64_t (*tasks)(const Backward<Real>&, Phase);
    void (*task)(const Backward<Real>&, void* workspace, Phase, int64_t task);
    // Between them the fold backwards in time: as `fold`, after Phase::prepare. Steps are counted from the last one.
    int64_t (*fold_backward)(const Backward<Real>&, const Plan&, void* workspace, const Span&, const Meeting&);
    // In how many parts a step is worth dividing, at most most_step_parts, and one of them: a range of hidden units.
    int (*step_parts)(const Layer&, int64_t rows);
    size_t (*step_bytes)(const Layer&, int64_t rows);  // of a step's memory
    void (*begin_step)(const Step<Real>&);             // before all parts of all passes
    void (*step)(const Step<Real>&, int part, int parts);
    double (*spend_operations)(int64_t rounds);  // for the benchmarks
    // What follows is the same for layers in bfloat16 and null among their functions.
    double (*squares)(const Real* values, int64_t count) = nullptr;
    void (*adamw)(const Movement<Real>&, const Moved<Real>&, int64_t count) = nullptr;
    // The rows `from` to `to` of a fold by rows, or of its backward pass: any of them, by any thread. Their products
    // are those of the functions given.
    size_t (*row_bytes)(const Functions&, const RowFold<Real>&, int64_t rows) = nullptr;
    void (*fold_rows)(const Functions&, const RowFold<Real>&, void* space, int64_t from, int64_t to) = nullptr;
    void (*fold_rows_backward)(const Functions&, const RowBackward<Real>&, void* space, int64_t from,
                               int64_t to) = nullptr;
};

struct Engine {
    const char* isa;
    const Traits* traits;  // by Kind
    const Functions<float>* float32;
    const Functions<double>* float64;
    const Functions<float>* bfloat16;  // of layers whose products are those of bfloat16 numbers
    uint64_t (*fingerprint)(const void* data, size_t bytes);
};

inline constexpr size_t alignment = 64;

inline constexpr size_t aligned(size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

}  // namespace memfold
