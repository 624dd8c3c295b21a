package hosting

import (
	"errors"
	"fmt"
	"strings"

	"github.com/waddle-sessions/waddle/host/tenant"
)

// claim makes a tenant's name and host names a file's own. The first file that has one
// keeps it as long as it is there.
func (d *Directory) claim(f *file, m *tenant.Manifest) error {
	if other := d.names[m.Name]; other != nil && other != f && other.gone == 0 {
		return fmt.Errorf("%w: tenant %q is that of %s: rename it, or remove one of the files", errTaken, m.Name, other.name)
	}
	for _, host := range m.Hosts {
		if other := d.hosts[hostKey(host)]; other != nil && other != f && other.gone == 0 {
			return fmt.Errorf("%w: the host %q is that of %s: leave it out of one of the files", errTaken, host, other.name)
		}
	}
	if other := d.names[m.Name]; other != nil && other != f {
		// The other file was renamed to this one. The tenant stays as it is.
		f.serves, other.serves, other.want = other.serves, "", nil
		d.release(other)
	}
	if d.names[m.Name] != f {
		d.names[m.Name] = f
		f.owns = append(f.owns, m.Name)
	}
	for _, host := range m.Hosts {
		if key := hostKey(host); d.hosts[key] != f {
			d.hosts[key] = f
			f.claims = append(f.claims, key)
		}
	}
	return nil
}

var errTaken = errors.New("another manifest was first")

// settle gives up claims that a file no longer needs.
func (d *Directory) settle(f *file) {
	if f.want != nil && f.want.Name == f.serves {
		d.release(f)
		_ = d.claim(f, f.want) // they were its own
		return
	}
	if f.want == nil && f.serves == "" {
		d.release(f)
		if f.gone >= 2 {
			delete(d.files, f.name)
		}
	}
}

func (d *Directory) release(f *file) {
	for _, name := range f.owns {
		if d.names[name] == f {
			delete(d.names, name)
		}
	}
	for _, host := range f.claims {
		if d.hosts[host] == f {
			delete(d.hosts, host)
		}
	}
	f.owns, f.claims = nil, nil
}

func hostKey(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }
