package hosting

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkScan measures a look at 1,000 manifests that have not changed, which happens
// every second.
func BenchmarkScan(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		name := fmt.Sprintf("t%d", i)
		require.NoError(b, os.WriteFile(filepath.Join(dir, name+".json"), []byte(manifest(name)), 0o644))
	}
	d := NewDirectory(dir, newRecorder(), slog.New(slog.DiscardHandler))
	d.now = func() time.Time { return time.Now().Add(time.Minute) }
	d.Scan(context.Background())
	d.running.Wait()
	for b.Loop() {
		d.Scan(context.Background())
	}
}
