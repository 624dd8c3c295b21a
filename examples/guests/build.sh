#!/bin/sh
# Builds the guests of this folder and of ../network whose toolchains are installed. Missing ones
# are reported; with CI=true, C and AssemblyScript must not be missing.
#
#   build.sh             writes LANGUAGE/store.wasm and ../network/LANGUAGE/store.wasm
#   build.sh -verify     builds elsewhere and compares with the committed modules
#
# The committed modules were built with the versions below. Other versions produce
# other bytes, so for them -verify only checks that the sources build.
#
# Tools are found in the path, or named: ZIG, RUSTC, LINKER (of Rust), NPM, WASI_SDK.
set -eu
cd "$(dirname "$0")"

GO_VERSION=go1.26.8
CLANG_VERSION=19.1.7
RUST_VERSION=1.63.0
ZIG_VERSION=0.11.0

verify=
case "${1-}" in
"") ;;
-verify) verify=$(mktemp -d); trap 'rm -rf "$verify"' EXIT ;;
*) echo "usage: build.sh [-verify]" >&2; exit 2 ;;
esac
failed=0

need() { command -v "$1" >/dev/null 2>&1; }
version() { "$@" 2>/dev/null | grep -oE '[0-9]+\.[0-9]+\.[0-9]+[^ ]*' | head -n 1; }

# missing LANGUAGE WHAT REQUIRED
missing() {
	if [ "${CI-}" = true ] && [ "$3" = required ]; then
		echo "FAILED: the guest in $1 needs $2" >&2
		failed=1
	else
		echo "SKIPPED: the guest in $1, for want of $2"
	fi
}

# build LANGUAGE FOUND WANTED [VARIABLE=VALUE...]: FOUND and WANTED are versions.
build() {
	language=$1 found=$2 wanted=$3
	shift 3
	build_in "$language" "$@"
	# The one in Go is large, and its tests build it.
	if [ "$language" != go ]; then build_in "../network/$language" "$@"; fi
}

build_in() {
	folder=$1
	shift
	if [ -z "$verify" ]; then
		make -s -B -C "$folder" OUT=store.wasm "$@"
		chmod 644 "$folder/store.wasm"
		ls -l "$folder/store.wasm"
		return
	fi
	out=$verify/built.wasm
	make -s -B -C "$folder" OUT="$out" "$@"
	if [ "$found" != "$wanted" ]; then
		echo "SKIPPED: the comparison of $folder, which builds: this is version $found, and the committed module is of $wanted"
	elif cmp "$out" "$folder/store.wasm"; then
		echo "$folder: as built from its sources"
	else
		echo "FAILED: $folder/store.wasm is not what its sources build: run make guests and commit the result" >&2
		failed=1
	fi
}

build go same same GO="env GOTOOLCHAIN=$GO_VERSION GOFLAGS= GOWORK=off GOWASM= go"

if [ -n "${WASI_SDK-}" ]; then
	build c "$(version "$WASI_SDK/bin/clang" --version) of the WASI SDK" "$CLANG_VERSION" WASI_SDK="$WASI_SDK"
elif need clang-19 && need wasm-ld-19 && [ -d /usr/lib/wasm32-wasi ]; then
	build c "$(version clang-19 --version)" "$CLANG_VERSION"
else
	missing C "clang-19, lld-19, libclang-rt-19-dev-wasm32 and wasi-libc, or WASI_SDK" required
fi

if need "${NPM:-npm}"; then
	build assemblyscript same same NPM="${NPM:-npm}"
else
	missing AssemblyScript "npm" required
fi

# The first compiler that has the target; Debian's has no linker of its own.
rustc=
for candidate in ${RUSTC-} rustc /usr/bin/rustc; do
	sysroot=$("$candidate" --print sysroot 2>/dev/null) || continue
	if [ -d "$sysroot/lib/rustlib/wasm32-unknown-unknown" ]; then
		rustc=$candidate
		break
	fi
done
linker=${LINKER-}
if [ -n "$rustc" ] && [ -z "$linker" ] && ! ls "$sysroot"/lib/rustlib/*/bin/rust-lld* >/dev/null 2>&1; then
	linker=wasm-ld-19
fi
if [ -n "$linker" ] && ! need "$linker"; then
	missing Rust "the linker $linker" optional
elif [ -n "$rustc" ]; then
	build rust "$(version "$rustc" --version)" "$RUST_VERSION" RUSTC="$rustc" LINKER="$linker"
else
	missing Rust "rustc with the target wasm32-unknown-unknown" optional
fi

if need "${ZIG:-zig}"; then
	build zig "$(version "${ZIG:-zig}" version)" "$ZIG_VERSION" ZIG="${ZIG:-zig}"
else
	missing Zig "zig" optional
fi

exit "$failed"
