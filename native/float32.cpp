// The engine's float32 for one instruction set: a file of its own, so that all precisions are compiled at once.
#include "functions.hpp"

namespace memfold::MEMFOLD_ISA {

extern const Functions<float> float32;
const Functions<float> float32 = by_cell::functions<float, Full<float>>;

}  // namespace memfold::MEMFOLD_ISA
