#!/bin/sh
# Builds the guests with each toolchain's defaults and with its options, and asks waddle about the
# modules: each is loaded, or refused with the flag that helps. Missing toolchains are reported.
#
#   toolchains.sh        prints a line for each build, and fails if one is not as it should be
#
# Tools are found in the path, or named, several of each: CLANG, ASC, RUSTC, ZIG, GO. WADDLE is the
# command line of this checkout. For a clang without its own files for wasm32, CLANG_FLAGS may name
# another's (-resource-dir) and a linker (-fuse-ld). RUSTC_FLAGS may name a linker for Rust.
set -u
cd "$(dirname "$0")"
: "${CLANG=clang-22 clang-19 clang}" "${ASC=asc}" "${RUSTC=rustc}" "${ZIG=zig}" "${GO=go}" "${WADDLE=waddle}"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export ZIG_LOCAL_CACHE_DIR="$out/zig"
failed=0

# try TITLE EXPECTED COMMAND...: EXPECTED is "loaded", or part of what the refusal says.
try() {
	title=$1 expected=$2
	shift 2
	rm -f "$out/store.wasm"
	if ! "$@" >"$out/log" 2>&1; then
		printf '%-44s %s\n' "$title" "SKIPPED, not built: $(grep -m 1 . "$out/log" | cut -c 1-90)"
		return
	fi
	"$WADDLE" inspect --describe "$out/store.wasm" >"$out/said" 2>&1
	case $expected in
	loaded) wanted="It would be loaded." ;;
	*) wanted=$expected ;;
	esac
	if grep -qF -e "$wanted" "$out/said"; then
		printf '%-44s %s\n' "$title" "$([ "$expected" = loaded ] && echo loaded || echo "refused: $expected")"
	else
		failed=1
		printf '%-44s %s\n' "$title" "FAILED, and should be: $expected"
		sed -n '/^It would/,$p' "$out/said"
	fi
}

has() { command -v "$1" >/dev/null 2>&1 || { echo "SKIPPED: $1 is not there"; return 1; }; }

for clang in $CLANG; do
	has "$clang" || continue
	v="clang $($clang --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1)"
	c() { title=$1 expected=$2; shift 2; try "$v $title" "$expected" "$clang" --target=wasm32-wasi --sysroot="${SYSROOT-/usr}" ${CLANG_FLAGS-} -o "$out/store.wasm" c/store.c "$@"; }
	c "-mexec-model=reactor" loaded -mexec-model=reactor
	c "-O2" loaded -mexec-model=reactor -O2
	c "-nostartfiles -Wl,--no-entry" loaded -nostartfiles -Wl,--no-entry
	c "-mcpu=bleeding-edge" loaded -mexec-model=reactor -O2 -mcpu=bleeding-edge
	c "-mreference-types -mtail-call" loaded -mexec-model=reactor -O2 -mreference-types -mtail-call
	c "-O3 -msimd128" loaded -mexec-model=reactor -O3 -msimd128
	c "-Wl,--import-memory" "without -Wl,--import-memory" -mexec-model=reactor -Wl,--import-memory
	c "-pthread" "without -pthread" -mexec-model=reactor -matomics -mbulk-memory -Wl,--shared-memory,--max-memory=4194304,--no-check-features
done

for asc in $ASC; do
	has "$asc" || continue
	v="asc $($asc --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+')"
	as() { title=$1 expected=$2; shift 2; try "$v $title" "$expected" "$asc" assemblyscript/assembly/index.ts -o "$out/store.wasm" "$@"; }
	ready="--exportStart _initialize --use abort="
	as "by default" "asc --exportStart _initialize"
	as "--use abort=" "asc --exportStart _initialize" --use abort=
	as "--exportStart _initialize" "asc --use abort=" --exportStart _initialize
	as "--exportStart _start" "asc --exportStart _initialize" --exportStart _start --use abort=
	for more in "" "-O" "-O3z" "--runtime minimal" "--runtime stub" "--enable simd --enable relaxed-simd" "--enable reference-types" \
		"--enable exception-handling" "--enable gc" "--exportTable" "--disable bulk-memory" "--disable sign-extension --disable nontrapping-f2i"; do
		as "as said, $more" loaded $ready $more
	done
	as "--importMemory" "--importMemory" $ready --importMemory
	as "--sharedMemory" "--sharedMemory" $ready --enable threads --sharedMemory --maximumMemory 100
done

for rustc in $RUSTC; do
	has "$rustc" || continue
	v="rustc $($rustc --version | cut -d ' ' -f 2)"
	rust() { title=$1 expected=$2; shift 2; try "$v $title" "$expected" "$rustc" --edition 2021 --crate-name store --target wasm32-unknown-unknown ${RUSTC_FLAGS-} -o "$out/store.wasm" rust/src/lib.rs "$@"; }
	rust "--crate-type cdylib" loaded --crate-type cdylib
	rust "-O" loaded --crate-type cdylib -O
	rust "-C panic=abort" loaded --crate-type cdylib -C opt-level=3 -C panic=abort
	rust "-C target-cpu=mvp" loaded --crate-type cdylib -C target-cpu=mvp
	rust "-C link-arg=--import-memory" "link-arg=--import-memory" --crate-type cdylib -C link-arg=--import-memory
done

for zig in $ZIG; do
	has "$zig" || continue
	v="zig $($zig version)"
	kind="build-exe -fno-entry"
	case $v in "zig 0.11."*) kind="build-lib -dynamic" ;; esac
	z() { title=$1 expected=$2; shift 2; try "$v $title" "$expected" "$zig" $kind zig/store.zig -rdynamic -femit-bin="$out/store.wasm" "$@"; }
	z "-target wasm32-freestanding" loaded -target wasm32-freestanding
	z "-O ReleaseFast" loaded -target wasm32-freestanding -O ReleaseFast
	z "-mcpu=bleeding_edge" loaded -target wasm32-freestanding -O ReleaseFast -mcpu=bleeding_edge
	z "-target wasm32-wasi" loaded -target wasm32-wasi
	z "--import-memory" "without --import-memory" -target wasm32-freestanding --import-memory
done

for go in $GO; do
	has "$go" || continue
	v=$($go env GOVERSION)
	g() { title=$1 expected=$2; shift 2; try "$v $title" "$expected" env GOARCH=wasm "$@" -o "$out/store.wasm" .; }
	g "as a program" "go build -buildmode=c-shared" GOOS=wasip1 "$go" -C go build
	g "-buildmode=c-shared" loaded GOOS=wasip1 "$go" -C go build -buildmode=c-shared
	g "for browsers" "GOOS=wasip1" GOOS=js "$go" -C go build
done
exit $failed
