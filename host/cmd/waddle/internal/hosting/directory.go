package hosting

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waddle-sessions/waddle/host/tenant"
)

// Deployer runs tenants. A [tenant.Host] is one.
type Deployer interface {
	Deploy(ctx context.Context, m tenant.Manifest) (*tenant.Tenant, error)
	Remove(ctx context.Context, name string) error
}

const (
	// deploying bounds how many manifests are deployed at once, and so how many plugins
	// are in memory that no tenant runs yet.
	deploying = 64

	// retryLeast and retryMost bound how long a deploy that failed waits until it is
	// tried again: what it lacks may come, such as the file of the plugin.
	retryLeast = 2 * time.Second
	retryMost  = time.Minute
)

// Directory deploys the manifests in a directory: each file whose name ends with .json
// is one. A changed file is a deploy and a removed one a removal. A file that cannot be
// read or deployed changes nothing: its tenant goes on as before.
//
// All methods may be called by many goroutines at once.
type Directory struct {
	path    string
	to      Deployer
	log     *slog.Logger
	now     func() time.Time
	slots   chan struct{}
	running sync.WaitGroup

	mu       sync.Mutex
	files    map[string]*file // by name
	names    map[string]*file // by tenant: whose manifest it is
	hosts    map[string]*file // by host name, the same
	problem  string           // why the directory cannot be read, "" if it can
	scanned  bool
	stopping bool
}

// file is a file of the directory that is, or was, a manifest.
type file struct {
	name    string
	seen    identity
	sum     [32]byte
	gone    int // scans in a row that did not find it
	problem string
	want    *tenant.Manifest // nil if there is none that can be read
	due     bool             // want is to be deployed
	serves  string           // the tenant that was deployed from it
	owns    []string         // names of tenants that are its own
	claims  []string         // host names that are its own
	busy    bool             // a goroutine works on it
	failed  int              // deploys in a row
	retry   time.Time
	outcome error         // of the last one
	done    chan struct{} // closed when it ends
}

// NewDirectory returns the manifests of a directory. Nothing is read before [Directory.Scan].
func NewDirectory(path string, to Deployer, log *slog.Logger) *Directory {
	return &Directory{
		path: path, to: to, log: log, now: time.Now, slots: make(chan struct{}, deploying),
		files: make(map[string]*file), names: make(map[string]*file), hosts: make(map[string]*file),
	}
}

// share bounds what looking takes of one core, a twentieth: the pause after a look lasts so
// many times as long as the look did, if that is longer than usual.
const share = 20

// Watch scans the directory at intervals, and whenever look receives something, until the
// context ends. Then it waits for the deploys that are under way.
func (d *Directory) Watch(ctx context.Context, every time.Duration, look <-chan os.Signal) {
	for {
		began := time.Now()
		d.Scan(ctx)
		pause := time.NewTimer(max(every, share*time.Since(began)))
		select {
		case <-pause.C:
		case <-look:
			pause.Stop()
			d.forgetPauses()
		case <-ctx.Done():
			pause.Stop()
			d.mu.Lock()
			d.stopping = true
			d.mu.Unlock()
			d.running.Wait()
			return
		}
	}
}

// Scan looks at every file once, and begins what has to be done. It does not wait for it.
func (d *Directory) Scan(ctx context.Context) {
	entries, err := os.ReadDir(d.path)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopping {
		return
	}
	if err != nil {
		// Nothing is removed for a directory that cannot be seen.
		if text := err.Error(); text != d.problem {
			d.problem = text
			d.log.Error("the directory of manifests cannot be read; all tenants go on", "error", err)
		}
		return
	}
	d.problem, d.scanned = "", true
	found := make(map[string]bool, len(entries))
	for _, e := range entries { // in the order of their names
		if isManifest(e) {
			found[e.Name()] = d.look(e.Name())
		}
	}
	for _, name := range d.byName() {
		if !found[name] {
			d.missing(d.files[name])
		}
	}
	for _, name := range d.byName() {
		d.begin(ctx, d.files[name])
	}
}

// isManifest leaves out directories that are called like manifests: they hold others'
// files, such as the state of tenants. Links are followed.
func isManifest(e fs.DirEntry) bool {
	return strings.HasSuffix(e.Name(), ".json") && !strings.HasPrefix(e.Name(), ".") && !e.IsDir()
}

func (d *Directory) byName() []string {
	names := make([]string, 0, len(d.files))
	for name := range d.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// look reads a file if it has changed, and reports whether it is there.
func (d *Directory) look(name string) bool {
	f := d.files[name]
	content, seen, err := readChanged(filepath.Join(d.path, name), f.before(), d.now())
	if errors.Is(err, fs.ErrNotExist) {
		return false // removed meanwhile, or a link that leads nowhere
	}
	if f == nil {
		f = &file{name: name}
		d.files[name] = f
	}
	f.gone, f.seen = 0, seen
	switch {
	case err != nil:
		d.report(f, err)
	case content != nil:
		d.read(f, content)
	}
	return true
}

func (f *file) before() identity {
	if f == nil {
		return identity{}
	}
	return f.seen
}

// read takes the content of a file that may have changed.
func (d *Directory) read(f *file, content []byte) {
	sum := sumOf(content)
	if sum == f.sum {
		if f.want != nil && !f.due && f.failed == 0 {
			f.problem = ""
		}
		return
	}
	m, err := tenant.ParseManifest(content)
	if err != nil {
		f.sum = [32]byte{} // the old content may come back
		d.report(f, err)
		return
	}
	f.sum, f.want, f.due, f.failed, f.retry = sum, &m, true, 0, time.Time{}
}

// missing notes that a file was not found. It is removed when it is missing twice:
// programs that write a file anew may remove it first.
func (d *Directory) missing(f *file) {
	f.gone++
	if f.gone >= 2 && (f.want != nil || f.serves != "") {
		f.want, f.due, f.sum, f.seen = nil, true, [32]byte{}, identity{}
	}
	if f.gone >= 2 && f.serves == "" && !f.busy {
		d.release(f)
		delete(d.files, f.name)
	}
}

// begin starts the work on a file, if there is any and it may begin.
func (d *Directory) begin(ctx context.Context, f *file) {
	if !f.due || f.busy || d.now().Before(f.retry) {
		return
	}
	if f.want != nil {
		if err := d.claim(f, f.want); err != nil {
			d.report(f, err)
			return
		}
	}
	f.due = false
	d.work(f)
	want, serves := f.want, f.serves
	go func() {
		defer d.running.Done()
		err := d.turn(ctx)
		if err == nil {
			err = d.apply(ctx, f, want, serves)
			<-d.slots
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.applied(ctx, f, want, err)
		d.rest(f)
		if !d.stopping {
			d.begin(ctx, f) // it may have changed meanwhile
		}
	}()
}

// work makes a file busy, so that nobody else works on it until rest. The caller also ends
// running.
func (d *Directory) work(f *file) {
	f.busy, f.done = true, make(chan struct{})
	d.running.Add(1)
}

func (d *Directory) rest(f *file) {
	f.busy = false
	close(f.done)
}

// turn waits until a deploy may run. The caller takes from slots at its end.
func (d *Directory) turn(ctx context.Context) error {
	select {
	case d.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// apply deploys what a file says in place of what it said before.
func (d *Directory) apply(ctx context.Context, f *file, want *tenant.Manifest, serves string) error {
	if want == nil {
		return d.remove(ctx, f, serves)
	}
	_, err := d.to.Deploy(ctx, *want)
	renamed := serves != "" && serves != want.Name
	if renamed && errors.Is(err, tenant.ErrHostName) {
		// The hosts are those of the tenant that goes.
		if err = d.remove(ctx, f, serves); err == nil {
			_, err = d.to.Deploy(ctx, *want)
		}
		return err
	}
	if renamed && err == nil {
		return d.remove(ctx, f, serves)
	}
	return err
}

// remove removes the tenant of a file, unless another file has taken it over.
func (d *Directory) remove(ctx context.Context, f *file, name string) error {
	d.mu.Lock()
	taken := d.names[name] != f
	d.mu.Unlock()
	if name != "" && !taken {
		if err := d.to.Remove(ctx, name); err != nil && !errors.Is(err, tenant.ErrUnknown) {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f.serves = ""
	return nil
}

// applied notes the outcome. The lock is held.
func (d *Directory) applied(ctx context.Context, f *file, want *tenant.Manifest, err error) {
	f.outcome = err
	if err != nil {
		f.due, f.retry = true, d.now().Add(min(retryLeast<<min(f.failed, 10), retryMost))
		f.failed++
		if ctx.Err() == nil {
			d.report(f, err)
		}
		return
	}
	f.failed = 0
	if want != nil {
		f.serves = want.Name
	}
	if f.want == want {
		f.problem = ""
	}
	d.settle(f)
}

// report keeps a problem for the operator, and logs it unless it was there before.
func (d *Directory) report(f *file, err error) {
	if text := err.Error(); text != f.problem {
		f.problem = text
		consequence := "it is not served"
		if f.serves != "" {
			consequence = "tenant " + f.serves + " goes on as before"
		}
		d.log.Error("a manifest was not deployed; "+consequence, "file", f.name, "error", err)
	}
}

// forgetPauses makes the next scan try again what has failed.
func (d *Directory) forgetPauses() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.files {
		f.retry = time.Time{}
	}
}

// Problem is what is wrong with a file of the directory, or with the directory itself if
// File is empty.
type Problem struct {
	File   string `json:"file"`
	Tenant string `json:"tenant,omitempty"` // that goes on as it was before
	Error  string `json:"error"`
}

// Problems lists what is wrong, by file.
func (d *Directory) Problems() []Problem {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := []Problem{}
	if d.problem != "" {
		list = append(list, Problem{Error: d.problem})
	}
	for _, f := range d.files {
		if f.problem != "" {
			list = append(list, Problem{f.name, f.serves, f.problem})
		}
	}
	slices.SortFunc(list, func(a, b Problem) int { return cmp.Compare(a.File, b.File) })
	return list
}

// Pending reports whether a host name is that of a manifest whose tenant is not there yet.
// Until the first scan has ended, every name may be.
func (d *Directory) Pending(host string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.hosts[hostKey(host)]
	return !d.scanned || f != nil && f.serves == ""
}

// Ready reports whether every manifest that was found has been deployed, or has failed.
func (d *Directory) Ready() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.files {
		if f.busy {
			return false
		}
	}
	return d.scanned
}
