package preflight

// Producer is what a toolchain says of itself in the custom section "producers".
// It says what it likes: nothing may depend on it but words for people.
type Producer struct {
	Field         string // "language", "processed-by" or "sdk"
	Name, Version string
}

// What is read of the section; toolchains write a few lines.
const (
	maxProducers    = 32
	maxProducerText = 256
)

// producers reads the section as far as it is one.
func (r *reader) producers() (found []Producer) {
	for fields := r.U32(); fields > 0 && r.Err == nil; fields-- {
		field := r.name(maxProducerText)
		for values := r.U32(); values > 0 && r.Err == nil; values-- {
			p := Producer{Field: field, Name: r.name(maxProducerText), Version: r.name(maxProducerText)}
			if r.Err != nil || len(found) == maxProducers {
				return found
			}
			found = append(found, p)
		}
	}
	return found
}
