package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/waddle-sessions/waddle/host/plugin"
	"github.com/waddle-sessions/waddle/host/tenant"
)

// manifestActions are what the verb manifest does, in the order in which authors need it.
var manifestActions = []cobra.Completion{
	cobra.CompletionWithDesc("check", "tell everything that is wrong"),
	cobra.CompletionWithDesc("sum", "write the plugin's SHA-256 into the manifest"),
	cobra.CompletionWithDesc("sign", "write that and a signature"),
	cobra.CompletionWithDesc("schema", "show the JSON Schema of manifests"),
}

const manifestActionNames = "check, sum, sign or schema"

func newManifest(env *environment) *cobra.Command {
	var flags manifestFlags
	cmd := &cobra.Command{
		Use:   "manifest ACTION FILE...",
		Short: "check the manifests of tenants, and seal their plugins",
		Long: `
A manifest says what a tenant is: 'waddle host' serves one for each file. ACTION is
one of these:

  check    tells everything that is wrong with the files, by line: with their text,
           with the plugins and keyrings that they refer to, and with each other
  sum      writes the SHA-256 of the plugin into each file: this plugin is meant
  sign     writes that, and a signature made with --key: this code may run
  schema   writes the JSON Schema of manifests, for editors; it takes no FILE

None of a plugin's code is run. Paths in a manifest start at the directory that the
manifest is in, unless --dir names another. A bundled plugin needs no seal. Files stay as
their authors wrote them but for the digest and the signature. The key is an Ed25519
private key as PEM:
'openssl genpkey -algorithm ed25519 -out signing.pem' makes one.

The exit code of check is 0 if a host would take every file, and 1 if not.`,
		Example: `  waddle manifest check tenants/*.json
  waddle manifest check tenants/alice.json --trusted-keys trusted.pem
  waddle manifest check alice.json --text-only
  waddle manifest sum tenants/alice.json
  waddle manifest sign tenants/alice.json --key signing.pem
  waddle manifest schema > manifest.schema.json`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usagef("manifest needs an action: %s", manifestActionNames)
			case args[0] == "schema" && len(args) > 1:
				return usagef("schema takes no file, got %d: %s", len(args)-1, strings.Join(args[1:], " "))
			case args[0] == "schema":
				return nil
			case args[0] != "check" && args[0] != "sum" && args[0] != "sign":
				return usagef("the action is %q: must be %s", args[0], manifestActionNames)
			case len(args) == 1:
				return usagef("%s needs the file of a manifest: waddle manifest %[1]s FILE.json", args[0])
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, start string) ([]cobra.Completion, cobra.ShellCompDirective) {
			switch {
			case len(args) == 0:
				return beginning(manifestActions, start), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
			case args[0] == "schema":
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []cobra.Completion{"json"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.check(args[0]); err != nil {
				return err
			}
			switch args[0] {
			case "schema":
				_, err := env.stdout.Write(tenant.Schema())
				return err
			case "check":
				return checkManifests(cmd.Context(), args[1:], flags, env)
			}
			return sealManifests(args[1:], flags, env)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.dir, "dir", "", "start relative paths in manifests at `DIR` (default: where each manifest is)")
	f.StringVar(&flags.trusted, "trusted-keys", "", "check: require a signature by one of the Ed25519 public keys in `FILE`, as PEM")
	f.BoolVar(&flags.textOnly, "text-only", false, "check: judge the text alone, and not the files that it refers to")
	flags.network.add(cmd, "check: ")
	f.StringVar(&flags.key, "key", "", "sign: use the Ed25519 private key in `FILE`, as PEM")
	addJSON(cmd, &flags.json)
	directories(cmd, "dir")
	for _, flag := range []string{"key", "trusted-keys"} {
		mustComplete(cmd, flag, func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return []cobra.Completion{"pem"}, cobra.ShellCompDirectiveFilterFileExt
		})
	}
	return cmd
}

type manifestFlags struct {
	dir, trusted, key string
	textOnly, json    bool
	network           networkFlags
}

// check refuses flags that have no effect.
func (f *manifestFlags) check(action string) error {
	switch {
	case action == "sign" && f.key == "":
		return usagef("sign needs a key: --key signing.pem; `openssl genpkey -algorithm ed25519 -out signing.pem` makes one")
	case action != "sign" && f.key != "":
		return usagef("--key is for sign: leave it out for %s", action)
	case action != "check" && (f.trusted != "" || f.textOnly || f.json || f.network.given()):
		return usagef("--trusted-keys, --text-only, --json, --network, --private and --socket are for check: leave them out for %s", action)
	case f.textOnly && (f.trusted != "" || f.dir != "" || f.network.given()):
		return usagef("--text-only looks at the text alone, so --trusted-keys, --dir, --network, --private and --socket have no effect: leave one of them out")
	case action == "schema" && f.dir != "":
		return usagef("--dir has no effect for schema: leave it out")
	}
	return nil
}

// dirOf returns the directory at which relative paths in a manifest start.
func (f *manifestFlags) dirOf(file string) string {
	if f.dir != "" {
		return f.dir
	}
	return filepath.Dir(file)
}

// checkManifests tells what keeps a host from running the manifests.
func checkManifests(ctx context.Context, files []string, flags manifestFlags, env *environment) error {
	var keys []ed25519.PublicKey
	if flags.trusted != "" {
		var err error
		if keys, err = tenant.ReadTrustedKeys(flags.trusted); err != nil {
			return &usageError{err}
		}
	}
	network, err := flags.network.tenants()
	if err != nil {
		return err
	}
	var report manifestReport
	names, hosts := make(map[string]string), make(map[string]string) // the file of each
	for _, file := range files {
		m, err := tenant.ReadManifest(file)
		if err == nil && !flags.textOnly {
			err = tenant.HostConfig{Dir: flags.dirOf(file), TrustedKeys: keys, Network: network}.Check(ctx, m)
		}
		if ctx.Err() != nil {
			return errInterrupted
		}
		one := &checkedManifest{File: file, Name: m.Name, OK: true}
		one.add(err)
		one.unique(names, "$.name", m.Name)
		for i, host := range m.Hosts {
			one.unique(hosts, fmt.Sprintf("$.hosts[%d]", i), host)
		}
		report.Manifests = append(report.Manifests, one)
	}
	if err := write(env.stdout, &report, flags.json); err != nil {
		return err
	}
	if n := report.refused(); n > 0 {
		return fmt.Errorf("%d of %d manifests would be refused", n, len(files))
	}
	return nil
}

// manifestReport is what was found in manifests.
type manifestReport struct {
	Manifests []*checkedManifest `json:"manifests"`
}

type checkedManifest struct {
	File   string           `json:"file"`
	Name   string           `json:"name,omitempty"`
	OK     bool             `json:"ok"`
	Faults []*manifestFault `json:"faults,omitempty"`
}

type manifestFault struct {
	Path    string `json:"path,omitempty"`
	Line    int    `json:"line,omitempty"`
	Problem string `json:"problem"`
}

// add adds the faults that an error joins.
func (c *checkedManifest) add(err error) {
	if err == nil {
		return
	}
	c.OK = false
	switch e := err.(type) {
	case *tenant.FieldError:
		c.Faults = append(c.Faults, &manifestFault{e.Path, e.Line, e.Problem})
		return
	case *plugin.LoadError:
		c.Faults = append(c.Faults, &manifestFault{Path: "$.plugin", Problem: "would be refused: " + e.Error()})
		return
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			if one != tenant.ErrManifest {
				c.add(one)
			}
		}
		return
	}
	if inner := errors.Unwrap(err); inner != nil && errors.Is(err, tenant.ErrManifest) {
		c.add(inner)
		return
	}
	c.Faults = append(c.Faults, &manifestFault{Problem: err.Error()})
}

// unique adds a fault if another file has the same.
func (c *checkedManifest) unique(seen map[string]string, path, value string) {
	if value == "" {
		return
	}
	if file, taken := seen[value]; taken {
		c.OK = false
		c.Faults = append(c.Faults, &manifestFault{Path: path, Problem: fmt.Sprintf("is %q, as in %s: must be in one manifest", value, file)})
		return
	}
	seen[value] = c.File
}

func (r *manifestReport) refused() (n int) {
	for _, m := range r.Manifests {
		if !m.OK {
			n++
		}
	}
	return n
}

// WriteText writes the report for people.
func (r *manifestReport) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, m := range r.Manifests {
		if m.OK {
			fmt.Fprintf(&b, "ok       %s: tenant %s\n", m.File, m.Name)
			continue
		}
		fmt.Fprintf(&b, "refused  %s\n", m.File)
		for _, fault := range m.Faults {
			b.WriteString("         ")
			if fault.Line > 0 {
				fmt.Fprintf(&b, "line %d: ", fault.Line)
			}
			if fault.Path != "" {
				b.WriteString(fault.Path + " ")
			}
			b.WriteString(fault.Problem + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// sealManifests writes digests, and signatures if there is a key, into manifests.
func sealManifests(files []string, flags manifestFlags, env *environment) error {
	var key ed25519.PrivateKey
	if flags.key != "" {
		var err error
		if key, err = tenant.ReadSigningKey(flags.key); err != nil {
			return &usageError{err}
		}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		sealed, err := tenant.Seal(text, flags.dirOf(file), key)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		what := "has not changed"
		if string(sealed) != string(text) {
			if err := replaceFile(file, sealed); err != nil {
				return err
			}
			what = "has the digest of its plugin"
			if key != nil {
				what += " and a signature"
			}
		}
		if _, err := fmt.Fprintf(env.stdout, "%s %s\n", file, what); err != nil {
			return err
		}
	}
	return nil
}

// replaceFile changes a file at once: whoever reads it, such as a host that watches, finds
// the old text or the new one.
func replaceFile(name string, text []byte) (err error) {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	// The file may be a link to where it really is.
	if name, err = filepath.EvalSymlinks(name); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*.new")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
