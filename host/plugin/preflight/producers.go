package preflight

// Producer is what a toolchain says of itself in the custom section "producers". It may
// say anything, so nothing but text for people may depend on it.
type Producer struct {
	Field         string // "language", "processed-by" or "sdk"
	Name, Version string
}

// Bounds on what is read of the section. Toolchains write a few lines.
const (
	maxProducers    = 32
	maxProducerText = 256
)

// producers reads the section as far as it is well formed.
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
