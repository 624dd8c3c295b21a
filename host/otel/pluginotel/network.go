package pluginotel

import (
	"errors"

	"github.com/waddle-sessions/waddle/host/otel/internal/setup"
	"github.com/waddle-sessions/waddle/host/plugin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const directionKey = attribute.Key("network.io.direction")

// network are the figures of a plugin that is granted a network. Those of others are missing.
type network struct {
	connections metric.Int64ObservableUpDownCounter
	dials, io   metric.Int64ObservableCounter

	outcomes                map[string]metric.MeasurementOption // of dials
	receive, transmit, both metric.MeasurementOption
}

// newNetwork makes the instruments.
func newNetwork(meter metric.Meter) (n network, err error) {
	var errs [3]error
	n.connections, errs[0] = meter.Int64ObservableUpDownCounter("waddle.plugin.connections", metric.WithUnit("{connection}"),
		metric.WithDescription("Connections of the plugin, open or being made."))
	n.dials, errs[1] = meter.Int64ObservableCounter("waddle.plugin.dials", metric.WithUnit("{dial}"),
		metric.WithDescription("Connections that the plugin asked for."))
	n.io, errs[2] = meter.Int64ObservableCounter("waddle.plugin.network.io", metric.WithUnit("By"),
		metric.WithDescription("Bytes that the plugin read and sent."))
	return n, errors.Join(errs[:]...)
}

func (n *network) name(config *setup.Config) {
	n.both = attributes(config)
	n.receive, n.transmit = attributes(config, directionKey.String("receive")), attributes(config, directionKey.String("transmit"))
	n.outcomes = make(map[string]metric.MeasurementOption)
	for _, outcome := range []string{"ok", "error", "refused", "limited"} {
		n.outcomes[outcome] = attributes(config, outcomeKey.String(outcome))
	}
}

func (n *network) observe(to metric.Observer, s plugin.NetworkStats) {
	if !s.Granted {
		return
	}
	to.ObserveInt64(n.connections, int64(s.Connections), n.both)
	to.ObserveInt64(n.dials, int64(s.Dials-min(s.Failed, s.Dials)), n.outcomes["ok"])
	to.ObserveInt64(n.dials, int64(s.Failed), n.outcomes["error"])
	to.ObserveInt64(n.dials, int64(s.Refused), n.outcomes["refused"])
	to.ObserveInt64(n.dials, int64(s.Limited), n.outcomes["limited"])
	to.ObserveInt64(n.io, int64(s.Read), n.receive)
	to.ObserveInt64(n.io, int64(s.Sent), n.transmit)
}
