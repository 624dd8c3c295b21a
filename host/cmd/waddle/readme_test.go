package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/host/internal/environ"
)

var root = filepath.Join("..", "..", "..")

// Everything a README names exists: options, types, functions, variables. A reader
// who copies a name that does not exist loses an hour.
func TestReadmesNameWhatExists(t *testing.T) {
	s := readSources(t)
	// Capitalised words that are not names of this project: of cookies, headers, net/http.
	others := []string{"Lax", "Strict", "None", "SameSite", "HttpOnly", "Authorization", "Bearer", "Cookie", "Vary", "Connection", "Retry", "After", "Content", "Type",
		"ServeMux", "ResponseWriter", "Makefile", "Cargo", "Errno", "Mutants", "By",
		"LockFileEx", "SendStream", "StreamRequestBody"}
	code := regexp.MustCompile("(?s)```go\n.*?```|`[^`\n]+`")
	qualified := regexp.MustCompile(`\b([a-z][a-z0-9]*)\.([A-Z]\w*)`)
	alone := regexp.MustCompile(`(?:^|[^.\w])([A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*)\b`)
	variable := regexp.MustCompile(`\b(?:SESSION|WADDLE)(?:_[A-Z]+)+\b`)
	former := regexp.MustCompile(`(?m)^ *\|[^|\n]*\|`) // the column of names that are gone, or of another library
	checked := 0
	for _, name := range s.readmes {
		data, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		if name == "CHANGELOG.md" || strings.HasPrefix(name, filepath.Join("examples", "moving")) {
			data = former.ReplaceAll(data, nil)
		}
		for _, v := range variable.FindAllString(string(data), -1) {
			checked++
			require.True(t, strings.Contains(s.text, v), "%s names the variable %s", name, v)
		}
		for _, snippet := range code.FindAllString(string(data), -1) {
			for _, m := range qualified.FindAllStringSubmatch(snippet, -1) {
				if in, ours := s.packages[m[1]]; ours {
					checked++
					// Fiber has a package session, too.
					ofAnother := name == filepath.Join("host", "adapt", "fiberstorage", "README.md") && m[0] == "session.Config"
					require.True(t, in[m[2]] || ofAnother, "%s has %s, which is not declared", name, m[0])
				}
			}
			if strings.HasPrefix(snippet, "```") {
				continue
			}
			for _, m := range alone.FindAllStringSubmatch(snippet, -1) {
				if slices.Contains(others, m[1]) {
					continue
				}
				checked++
				assert.True(t, s.known(filepath.Dir(name), m[1]), "%s has %s, which is not declared, in %s", name, m[1], snippet)
			}
		}
	}
	require.Greater(t, checked, 200)
}

// The table of settings has every setting that the environment can give.
func TestDocumentHasEverySetting(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "host", "SETTINGS.md"))
	require.NoError(t, err)
	for _, v := range slices.Concat(environ.Names(environ.Sessions), environ.Names(environ.Storage)) {
		require.True(t, strings.Contains(string(data), "`"+v+"`"), "%s is in no row of the table", v)
	}
}

// The table of verbs has every verb.
func TestReadmeHasEveryVerb(t *testing.T) {
	data, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var verbs []string
	for line := range strings.SplitSeq(run(t, nil, "help").stdout, "\n") {
		if m := regexp.MustCompile(`^  waddle ([a-z]+)`).FindStringSubmatch(line); m != nil {
			verbs = append(verbs, m[1])
		}
	}
	require.Greater(t, len(verbs), 8)
	for _, v := range verbs {
		require.True(t, strings.Contains(string(data), "| `"+v+"` |"), "%s is in no row of the table", v)
	}
}

// The tests that documents name exist, and the commands that they name can be run.
func TestDocumentsNameWhatExists(t *testing.T) {
	s := readSources(t)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	tests := regexp.MustCompile("`((?:Test|Fuzz|Example)[A-Z]\\w*)`")
	targets := regexp.MustCompile("`make ([a-z -]+)`")
	paths := regexp.MustCompile("`((?:\\.ci|abi|examples|guest|host)/[\\w./-]*)`")
	links := regexp.MustCompile(`\]\(([\w./-]+)(?:#[\w-]+)?\)`)
	for name, atLeast := range map[string]int{
		"README.md": 25, "CONTRIBUTING.md": 30, "SECURITY.md": 20, "CHANGELOG.md": 5,
		"host/README.md": 5, "host/SETTINGS.md": 1, "host/COMPATIBILITY.md": 10, "host/cmd/waddle/README.md": 8, "host/cmd/waddle/OPERATING.md": 1, "host/cmd/waddle/SERVE.md": 2,
		"host/adapt/README.md": 10, "examples/moving/README.md": 5,
	} {
		data, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		checked := 0
		each := func(pattern *regexp.Regexp, check func(found string)) {
			for _, m := range pattern.FindAllStringSubmatch(string(data), -1) {
				checked++
				check(m[1])
			}
		}
		each(tests, func(test string) {
			assert.True(t, strings.Contains(s.text, "\nfunc "+test+"("), "%s names the test %s", name, test)
		})
		each(targets, func(list string) {
			for _, target := range strings.Fields(list) {
				assert.True(t, strings.Contains(string(makefile), "\n"+target+":"), "%s has make %s", name, target)
			}
		})
		tag := regexp.MustCompile(`/v\d`)
		exists := func(path string) {
			assert.FileExists(t, filepath.Join(root, path), "%s names %s", name, path)
		}
		for _, pattern := range []*regexp.Regexp{paths, links} {
			each(pattern, func(path string) {
				if pattern == links {
					path = filepath.Join(filepath.Dir(name), path)
				}
				if info, err := os.Stat(filepath.Join(root, path)); (err != nil || !info.IsDir()) && !tag.MatchString(path) {
					exists(path)
				}
			})
		}
		require.Greater(t, checked, atLeast, name)
	}
}

// sources holds the names that the repository declares.
type sources struct {
	readmes  []string
	packages map[string]map[string]bool // by package: top-level declarations and methods
	names    map[string]map[string]bool // by folder: fields and parameters as well
	text     string
}

func readSources(t *testing.T) sources {
	t.Helper()
	s := sources{packages: make(map[string]map[string]bool), names: make(map[string]map[string]bool)}
	var text strings.Builder
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || path != root && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && d.Name() != ".ci"):
			return filepath.SkipDir
		case slices.Contains([]string{"README.md", "MANIFEST.md", "SETTINGS.md", "COMPATIBILITY.md", "OPERATING.md", "SERVE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"}, d.Name()):
			name, err := filepath.Rel(root, path)
			s.readmes = append(s.readmes, name)
			return err
		case filepath.Ext(path) != ".go" && filepath.Ext(path) != ".py" && (d.IsDir() || filepath.Base(filepath.Dir(path)) != ".ci"):
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text.Write(data)
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		if filepath.Ext(path) == ".py" {
			s.used(filepath.ToSlash(folder), string(data))
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil // a script of .ci: only its variables count
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, data, parser.SkipObjectResolution)
		if err != nil {
			return nil // a test's own sample that does not compile
		}
		s.declared(filepath.ToSlash(folder), file)
		return nil
	}))
	s.text = text.String()
	return s
}

// known reports whether a README's folder, or a package that all READMEs mention,
// declares a name.
func (s *sources) known(folder, name string) bool {
	folder = filepath.ToSlash(folder)
	for in, names := range s.names {
		if names[name] && in == "host/session" && (strings.HasPrefix(folder, "host/adapt") || strings.HasPrefix(folder, "host/cmd/waddle") || strings.HasPrefix(folder, "examples/")) {
			return true // pages of adapters, of the command and of examples speak of sessions
		}
		if names[name] && (folder == "." || folder == "host" || in == folder || strings.HasPrefix(in, folder+"/") ||
			slices.Contains([]string{"abi", "guest", "host/store", "host/internal/environ", "host/plugin", "examples/frameworks", "examples/python/waddle_client"}, in)) {
			return true
		}
	}
	return false
}

// used takes the names that a file in Python uses, which its tests run.
func (s *sources) used(folder, code string) {
	if s.names[folder] == nil {
		s.names[folder] = make(map[string]bool)
	}
	for _, name := range regexp.MustCompile(`\b[A-Z]\w*`).FindAllString(code, -1) {
		s.names[folder][name] = true
	}
}

func (s *sources) declared(folder string, file *ast.File) {
	if s.names[folder] == nil {
		s.names[folder] = make(map[string]bool)
	}
	names := s.names[folder]
	pkg := file.Name.Name
	if s.packages[pkg] == nil {
		s.packages[pkg] = make(map[string]bool)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			s.packages[pkg][n.Name.Name] = true
			names[n.Name.Name] = true
		case *ast.TypeSpec:
			s.packages[pkg][n.Name.Name] = true
			names[n.Name.Name] = true
		case *ast.ValueSpec:
			for _, name := range n.Names {
				s.packages[pkg][name.Name] = true
				names[name.Name] = true
			}
		case *ast.SelectorExpr:
			// Pages of adapters and of examples speak of what their code uses of others.
			if strings.HasPrefix(folder, "host/adapt/") || strings.HasPrefix(folder, "examples/") {
				names[n.Sel.Name] = true
			}
		case *ast.Field:
			for _, name := range n.Names {
				names[name.Name] = true
			}
		}
		return true
	})
}
