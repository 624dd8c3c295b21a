package project_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/cmd/waddle/internal/project"
	"github.com/waddle-sessions/waddle/host/plugin"
)

// tool is a toolchain for a project: the environment for its build, or what is
// missing.
type tool struct {
	environment []string
	missing     string
	required    bool // in CI
}

func toolchain(t *testing.T, language string) tool {
	t.Helper()
	has := func(names ...string) string {
		for _, name := range names {
			if found, err := exec.LookPath(name); err == nil {
				return found
			}
		}
		return ""
	}
	if has("make") == "" || has("sh") == "" {
		return tool{missing: "make or sh", required: true}
	}
	switch language {
	case "go":
		return tool{required: true}
	case "c":
		sysroot := "/usr/lib/wasm32-wasi"
		if _, err := os.Stat(sysroot); os.Getenv("WASI_SDK") == "" && (err != nil || has("clang-19", "clang") == "") {
			return tool{missing: "clang with " + sysroot + ", or WASI_SDK", required: true}
		}
		return tool{required: true}
	case "assemblyscript":
		if has("npm") == "" {
			return tool{missing: "npm", required: true}
		}
		return tool{required: true}
	case "rust":
		for _, rustc := range []string{has("rustc"), "/usr/bin/rustc"} {
			sysroot, err := exec.Command(rustc, "--print", "sysroot").Output()
			if rustc == "" || err != nil {
				continue
			}
			dir := filepath.Join(strings.TrimSpace(string(sysroot)), "lib", "rustlib")
			if _, err := os.Stat(filepath.Join(dir, "wasm32-unknown-unknown")); err != nil {
				continue
			}
			environment := []string{"RUSTC=" + rustc}
			if own, _ := filepath.Glob(filepath.Join(dir, "*", "bin", "rust-lld*")); len(own) == 0 {
				linker := has("wasm-ld-19", "wasm-ld")
				if linker == "" {
					return tool{missing: "wasm-ld, which Debian's rustc needs"}
				}
				environment = append(environment, "LINKER="+linker)
			}
			return tool{environment: environment}
		}
		return tool{missing: "rustc with the target wasm32-unknown-unknown"}
	case "zig":
		if has("zig") == "" && os.Getenv("ZIG") == "" {
			return tool{missing: "zig, on the path or as ZIG"}
		}
		return tool{}
	}
	t.Fatalf("no toolchain is known for %s", language)
	return tool{}
}

// TestProjectsBuildAndPass does what a beginner does: the command that Languages
// names, and then waddle test.
func TestProjectsBuildAndPass(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a project in each language")
	}
	waddle := filepath.Join(t.TempDir(), "waddle.exe")
	run(t, root, nil, "go", "build", "-o", waddle, "./host/cmd/waddle")
	for _, l := range project.Languages() {
		t.Run(l.Name, func(t *testing.T) {
			tool := toolchain(t, l.Name)
			if tool.missing != "" {
				if tool.required && os.Getenv("CI") == "true" {
					t.Fatalf("missing: %s", tool.missing)
				}
				t.Skipf("SKIPPED: a project in %s is not built: it needs %s", l.Title, tool.missing)
			}
			dir := filepath.Join(t.TempDir(), "shelf")
			_, err := project.Write(dir, l.Name, options(l.Name))
			require.NoError(t, err)
			environment := append(tool.environment, "WADDLE="+waddle)
			if l.Name == "assemblyscript" && os.Getenv("CI") != "true" && exec.Command("npm", "view", "assemblyscript", "version").Run() != nil {
				t.Skip("SKIPPED: a project in AssemblyScript is not built, as npm cannot fetch the compiler")
			}
			run(t, dir, environment, "sh", "-c", l.Build)
			require.Contains(t, run(t, dir, nil, waddle, "inspect", "--describe", "store.wasm"), "shelf")
			if l.Name == "c" || os.Getenv("CI") == "true" {
				run(t, dir, environment, "make", "test")
				return
			}
			// The whole suite runs on the same sources beside the examples.
			run(t, dir, nil, waddle, "test", "store.wasm", "--skip", "memory,growth,random,soak,concurrent")
			if l.Name == "go" {
				run(t, dir, nil, "go", "test", "-short", ".")
			}
		})
	}
}

// TestWordsOfALanguageAsNames: a store named by a keyword of its language still
// gives a project that builds.
func TestWordsOfALanguageAsNames(t *testing.T) {
	if testing.Short() {
		t.Skip("builds projects in each language")
	}
	for language, names := range map[string][]string{
		"assemblyscript": {"assemblyscript"},
		"c":              {"int"},
		"go":             {"go", "time"},
		"rust":           {"fn"},
		"zig":            {"fn"},
	} {
		tool := toolchain(t, language)
		if tool.missing != "" {
			t.Logf("SKIPPED: %s, which needs %s", language, tool.missing)
			continue
		}
		if language == "assemblyscript" && os.Getenv("CI") != "true" && exec.Command("npm", "view", "assemblyscript", "version").Run() != nil {
			t.Log("SKIPPED: assemblyscript, as npm cannot fetch the compiler")
			continue
		}
		for _, name := range names {
			t.Run(language+" "+name, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), name)
				_, err := project.Write(dir, language, options(language))
				require.NoError(t, err)
				for _, l := range project.Languages() {
					if l.Name == language {
						run(t, dir, tool.environment, "sh", "-c", l.Build)
					}
				}
				wasm, err := os.ReadFile(filepath.Join(dir, "store.wasm"))
				require.NoError(t, err)
				_, err = plugin.Validate(wasm)
				require.NoError(t, err)
				if cargo, err := exec.LookPath("cargo"); err == nil && language == "rust" {
					run(t, dir, nil, cargo, "metadata", "--no-deps", "--offline", "--format-version", "1")
				}
			})
		}
	}
}

func run(t *testing.T, dir string, environment []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), environment...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Run(), "%s %s:\n%s", name, strings.Join(args, " "), &out)
	return out.String()
}
