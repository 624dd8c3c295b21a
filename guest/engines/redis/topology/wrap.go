package topology

// wrap returns an error that says what an error is about. Package fmt would make a module
// 130 KB larger.
func wrap(about string, err error) error { return &wrapped{about, err} }

type wrapped struct {
	about string
	err   error
}

func (w *wrapped) Error() string { return w.about + ": " + w.err.Error() }
func (w *wrapped) Unwrap() error { return w.err }
