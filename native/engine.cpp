// The engine for one instruction set. CMake compiles this file once for each, beside those of its precisions.
#include "cells.hpp"
#include "fingerprint.hpp"

namespace memfold::MEMFOLD_ISA {

extern const Functions<float> float32;
extern const Functions<double> float64;
extern const Functions<float> bfloat16;

#define MEMFOLD_TEXT_OF(name) #name
#define MEMFOLD_TEXT(name) MEMFOLD_TEXT_OF(name)

extern const Engine engine;
const Engine engine = {MEMFOLD_TEXT(MEMFOLD_ISA), traits, &float32, &float64, &bfloat16, fingerprint};

}  // namespace memfold::MEMFOLD_ISA
