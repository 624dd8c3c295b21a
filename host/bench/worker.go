package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
	"unsafe"
)

// Subjects that are compared are measured in processes of their own, so that what one
// keeps on its heap does not make another's garbage cheaper or dearer to collect. This
// program starts itself for each, as a worker. The workers are told in turn to run one
// batch, and wait for the next order in a read of a pipe: one at a time is busy.

// assignment says what a worker sets up.
type assignment struct {
	Part    string      `json:"part"` // a key of stands
	Subject string      `json:"subject"`
	Number  int         `json:"number,omitempty"` // if there are several of a name
	Cores   []int       `json:"cores,omitempty"`
	Ops     []string    `json:"ops,omitempty"`
	Dir     string      `json:"dir,omitempty"`  // for files, the worker's own
	Code    string      `json:"code,omitempty"` // for compiled code
	Scale   *scalePoint `json:"scale,omitempty"`
}

// stand is a subject that is set up to be measured.
type stand struct {
	cells  []cell
	verify func() error // that it did what was measured
	close  func() error
	facts  map[string]float64 // that the parent cannot measure
}

// stands has a function for each part that sets an assigned subject up.
var stands = map[string]func(context.Context, assignment) (*stand, error){
	partRequests: openPeer,
	partCalls:    openCallee,
	partFiles:    openRecords,
	partStart:    openStart,
	partScale:    openScale,
}

// workerArgument is the first argument of a worker. The second is the assignment.
const workerArgument = "-worker"

// order is what a worker is told; without a number of operations or a span, to verify.
type order struct {
	Cell int           `json:"cell"`
	N    int           `json:"n,omitempty"`
	Span time.Duration `json:"span,omitempty"`
}

// answer is what it says. The first, without an order, describes the cells.
type answer struct {
	Cells []cellName         `json:"cells,omitempty"`
	Facts map[string]float64 `json:"facts,omitempty"`
	N     int                `json:"n,omitempty"`
	Usage usage              `json:"usage,omitzero"`
	Fault string             `json:"fault,omitempty"`
}

// isWorker reports whether this process is a worker.
func isWorker(args []string) bool { return len(args) == 3 && args[1] == workerArgument }

// work sets the subject up and does as ordered until there are no more orders.
func work(ctx context.Context, assigned string, in io.Reader, out io.Writer) error {
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	var a assignment
	if err := json.Unmarshal([]byte(assigned), &a); err != nil {
		return err
	}
	heap := applicationHeap()
	defer runtime.KeepAlive(heap)
	open := stands[a.Part]
	if open == nil {
		return fmt.Errorf("a worker has nothing for the part %q", a.Part)
	}
	s, err := open(ctx, a)
	if err != nil {
		return answers.Encode(answer{Fault: err.Error()})
	}
	first := answer{Facts: s.facts}
	for _, c := range s.cells {
		first.Cells = append(first.Cells, c.cellName)
	}
	if err := answers.Encode(first); err != nil {
		return err
	}
	for {
		var o order
		if err := orders.Decode(&o); err == io.EOF {
			return s.close()
		} else if err != nil {
			return err
		}
		if err := answers.Encode(s.obey(o)); err != nil {
			return err
		}
	}
}

// object is one of the objects that an application keeps.
type object struct {
	other *object
	_     [15]uint64
}

// applicationSize is how much each worker keeps besides its subject.
const applicationSize = 4 << 20

// applicationHeap is what an application around the subject would keep. Go collects
// when the heap has doubled, but not before 4 MB: in a process with nothing else, what
// garbage costs would depend on how the few MB that a subject keeps compare to that.
func applicationHeap() []*object {
	heap := make([]*object, applicationSize/int(unsafe.Sizeof(object{})))
	for i := range heap {
		heap[i] = &object{other: heap[i/2]}
	}
	return heap
}

func (s *stand) obey(o order) answer {
	if o.N == 0 && o.Span == 0 {
		if err := s.verify(); err != nil {
			return answer{Fault: err.Error()}
		}
		return answer{}
	}
	n, u, err := s.cells[o.Cell].sample(o.N, o.Span)
	if !s.cells[o.Cell].Uncollected {
		runtime.GC() // nothing is left to do while others are measured
	}
	if err != nil {
		return answer{Fault: err.Error()}
	}
	return answer{N: n, Usage: u}
}

// worker is a process that measures one subject.
type worker struct {
	name    string
	cells   []cell
	facts   map[string]float64
	cmd     *exec.Cmd
	in      io.WriteCloser
	orders  *json.Encoder
	answers *json.Decoder
	said    tail
	ended   sync.Once
	end     error
}

// hire starts a worker and waits until it is ready.
func hire(ctx context.Context, a assignment) (*worker, error) {
	own, err := os.Executable()
	if err != nil {
		return nil, err
	}
	assigned, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	w := &worker{name: a.Subject, cmd: exec.CommandContext(ctx, own, workerArgument, string(assigned))}
	w.cmd.Stderr = &w.said
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	w.orders, w.answers = json.NewEncoder(w.in), json.NewDecoder(out)
	first, err := w.listen()
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	w.facts = first.Facts
	for i, name := range first.Cells {
		w.cells = append(w.cells, cell{cellName: name, remote: func(n int, span time.Duration) (int, usage, error) {
			done, err := w.ask(order{i, n, span})
			return done.N, done.Usage, err
		}})
	}
	return w, nil
}

func (w *worker) ask(o order) (answer, error) {
	if err := w.orders.Encode(o); err != nil {
		return answer{}, w.died(err)
	}
	return w.listen()
}

func (w *worker) listen() (a answer, err error) {
	if err := w.answers.Decode(&a); err != nil {
		return a, w.died(err)
	}
	if a.Fault != "" {
		return a, fmt.Errorf("%s: %s", w.name, a.Fault)
	}
	return a, nil
}

// died says why there is no answer.
func (w *worker) died(err error) error {
	if end := w.close(); end != nil {
		return end
	}
	return fmt.Errorf("%s: the process that measures it does not answer: %w", w.name, err)
}

func (w *worker) verify() error {
	_, err := w.ask(order{})
	return err
}

// leave is how long a worker may take to close its subject.
const leave = time.Minute

// close ends the worker. An end with an error says what the worker said.
func (w *worker) close() error {
	w.ended.Do(func() {
		w.in.Close()
		late := time.AfterFunc(leave, func() { _ = w.cmd.Process.Kill() })
		defer late.Stop()
		if err := w.cmd.Wait(); err != nil {
			w.end = fmt.Errorf("%s: the process that measures it ended with %w\n%s", w.name, err, &w.said)
		}
	})
	return w.end
}

// crew are the workers of a table.
type crew []*worker

// gather hires a worker for each assignment.
func gather(ctx context.Context, all []assignment) (crew, error) {
	var c crew
	for _, a := range all {
		w, err := hire(ctx, a)
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		c = append(c, w)
	}
	return c, nil
}

// cells are those of all workers for which keep says so.
func (c crew) cells(keep func(cellName) bool) (all []cell) {
	for _, w := range c {
		for _, each := range w.cells {
			if keep(each.cellName) {
				all = append(all, each)
			}
		}
	}
	return all
}

func everyCell(cellName) bool { return true }

func (c crew) verify() error {
	for _, w := range c {
		if err := w.verify(); err != nil {
			return fmt.Errorf("after the measurement: %w", err)
		}
	}
	return nil
}

func (c crew) close() error {
	var errs []error
	for _, w := range c {
		errs = append(errs, w.close())
	}
	return errors.Join(errs...)
}

// measureCrew hires workers, measures all their cells and lets them verify.
func measureCrew(ctx context.Context, all []assignment, p plan) (_ []samples, err error) {
	c, err := gather(ctx, all)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	measured, err := measure(c.cells(everyCell), p)
	if err != nil {
		return nil, err
	}
	return measured, c.verify()
}

// tail keeps the end of what is written to it. It embeds no buffer, whose ReadFrom would
// be used instead of Write.
type tail struct{ kept []byte }

const tailSize = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	t.kept = t.kept[max(0, len(t.kept)-tailSize):]
	return len(p), nil
}

func (t *tail) String() string { return string(t.kept) }
