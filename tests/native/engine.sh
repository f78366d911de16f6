# For tests/native/sanitize and tests/native/cross: builds the engine and its tests without Python. To be sourced.
strict="-std=c++20 -Wall -Wextra -Werror=switch -fno-math-errno -fno-trapping-math -ffp-contract=fast -Inative"
engine_tests="engine_test row_wise_test optimizer_test"

# build FOLDER COMPILER ISAS FLAGS... makes the tests in the folder; LIBRARIES are linked to them.
build() {
    folder=$1 compiler=$2 isas=$3
    shift 3
    mkdir -p "$folder"
    objects=
    jobs=
    soft=
    case " $isas " in *" v4_amx "*) soft=-DMEMFOLD_SOFT_AMX ;; esac  # plain loops in place of the instructions
    for isa in $isas; do
        parts="engine float32 float64 bfloat16"
        case $isa in
            neon) march= ;;
            neon_bf16) march=-march=armv8.2-a+bf16 parts=bfloat16 ;;
            v4_bf16) march="-march=x86-64-v4 -mavx512bf16" parts=bfloat16 ;;
            v4_amx) march="-march=x86-64-v4 -mavx512bf16 $soft" parts=bfloat16 ;;
            *) march=-march=x86-64-$isa ;;
        esac
        for part in $parts; do
            $compiler $strict "$@" $march -DMEMFOLD_ISA="$isa" -c "native/$part.cpp" -o "$folder/$isa.$part.o" &
            jobs="$jobs $!"
            objects="$objects $folder/$isa.$part.o"
        done
    done
    for test in $engine_tests; do
        $compiler $strict "$@" $soft -c "tests/native/$test.cpp" -o "$folder/$test.o"
    done
    $compiler $strict "$@" tests/native/pool_test.cpp -o "$folder/pool_test" ${LIBRARIES--pthread -ldl}
    for job in $jobs; do wait "$job"; done
    for test in $engine_tests; do
        $compiler $strict "$@" "$folder/$test.o" $objects -o "$folder/$test" ${LIBRARIES--pthread -ldl}
    done
}
