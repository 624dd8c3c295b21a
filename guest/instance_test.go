package guest

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/waddle-sessions/waddle/abi"
)

// nothing accepts everything and keeps nothing.
type nothing struct{ calls int }

func (n *nothing) Open(*Config) error                { return nil }
func (n *nothing) Get([]byte, int64) ([]byte, error) { n.calls++; return nil, nil }
func (n *nothing) Set(Write) error                   { n.calls++; return nil }
func (n *nothing) Delete([]byte, int64) error        { n.calls++; return nil }
func (n *nothing) Clear(int64) error                 { return nil }
func (n *nothing) Save(int64) error                  { return nil }
func (n *nothing) Touch([]byte, int64, int64) error  { n.calls++; return nil }

// Whatever a host sends, only the exchange buffer is read.
func TestArgumentsMustLieInTheExchangeBuffer(t *testing.T) {
	engine := new(nothing)
	var i instance
	i.init(engine, Info{Name: "n", MaxValue: 4096})
	require.Equal(t, int64(abi.Invalid), i.open(5, 5), "there is no buffer yet")
	base := i.alloc(100)
	require.NotZero(t, base)
	require.Zero(t, i.open(0, 0))
	end := base + uint32(len(i.exchange))
	for _, region := range [][2]uint32{
		{base - 1, 5}, {end - 4, 5}, {end, 1}, {0, 5}, {base, uint32(len(i.exchange)) + 1},
		{base + 1, ^uint32(0)}, {^uint32(0), 2}, {^uint32(0), ^uint32(0)},
	} {
		ptr, length := region[0], region[1]
		require.Equal(t, int64(abi.Invalid), i.get(ptr, length, 1), "%d", region)
		require.Equal(t, int64(abi.Invalid), i.delete(ptr, length, 1))
		require.Equal(t, int64(abi.Invalid), i.touch(ptr, length, 5, 1))
		require.Equal(t, int64(abi.Invalid), i.set(ptr, length, base, 0, 0, 1, 0))
		require.Equal(t, int64(abi.Invalid), i.set(base, 1, ptr, length, 0, 1, 0))
		require.Equal(t, int64(abi.Invalid), i.restore(ptr, length, 1))
	}
	require.Zero(t, engine.calls)
	require.Zero(t, i.get(end-5, 5, 1))
	require.Zero(t, i.set(base, 5, 0, 0, 0, 1, 0), "the pointer of an empty value means nothing")
	require.Equal(t, 2, engine.calls)
}

// All exchange buffers together must stay little more than the last: an engine
// that is full relies on it.
func TestExchangeBufferGrowsInLargeSteps(t *testing.T) {
	for _, maxValue := range []int{4096, 100_000, 1 << 20, 16 << 20} {
		var i instance
		i.init(new(nothing), Info{Name: "n", MaxValue: maxValue})
		sum, last := 0, 0
		largest := abi.MaxKey + maxValue
		for size := 1; size <= largest; size += 1 + size/500 {
			require.NotZero(t, i.alloc(uint32(size)))
			require.GreaterOrEqual(t, len(i.exchange), size+recordHeaderSize+cursorSize)
			if len(i.exchange) != last {
				last = len(i.exchange)
				sum += last
			}
		}
		require.NotZero(t, i.alloc(uint32(largest)))
		require.LessOrEqual(t, len(i.exchange), max(minExchange, largest+2*exchangeMargin))
		require.LessOrEqual(t, sum, len(i.exchange)*3/2)
		require.Zero(t, i.alloc(uint32(max(largest, minExchange)+1000)))
		require.Zero(t, i.alloc(^uint32(0)))
	}
}

func TestScratchLiesInTheExchangeBufferIfItFits(t *testing.T) {
	var i instance
	i.init(new(nothing), Info{Name: "n"})
	require.Len(t, i.scratch(10), 10, "there is no buffer yet")
	i.alloc(100)
	require.Same(t, &i.exchange[0], &i.scratch(100)[0])
	require.Len(t, i.scratch(1<<20), 1<<20)
}

func TestAModuleWithoutAnEngineSaysSo(t *testing.T) {
	var i instance
	_, code := i.describe()
	require.Equal(t, int64(abi.Internal), code)
	require.NotZero(t, i.alloc(10))
	require.Equal(t, int64(abi.Internal), i.open(0, 0))
}

func TestRegisterTwice(t *testing.T) {
	before := current
	defer func() { current = before }()
	current = instance{}
	Register(new(nothing), Info{Name: "n"})
	require.Panics(t, func() { Register(new(nothing), Info{Name: "n"}) })
	require.Len(t, Scratch(7), 7)
}
