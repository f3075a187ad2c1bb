// Package play publishes a recording of MQTT messages to a broker, with their QoS and retain flags, at its own pace or
// faster. A recording has one JSON object a line: ms (since its start), topic, qos, retain, and payload (text) or
// payload_base64; it may be gzipped.
//
// Messages are published in the order of their lines, over one MQTT 5 connection. Up to a window of those with QoS 1 or 2
// may be under way; they are acknowledged line by line ([Options.OnAck]). An error says which line it concerns, and from
// which line to go on.
package play

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"

	"github.com/statehouse/statehouse/internal/mqtt"
	"github.com/statehouse/statehouse/internal/mqtt/client"
)

// Options is what is played where. File and Broker.URL are needed.
type Options struct {
	// File is the recording; "-" is Stdin, or standard input where that is nil.
	File  string
	Stdin io.Reader
	// Broker is where it is played to. ClientID may stay empty: the broker then makes one up.
	Broker   client.Endpoint
	ClientID string
	// Speed is how many times as fast as recorded: 1 is its own pace, 0 as fast as the broker takes it.
	Speed float64
	// QoS publishes everything with this QoS instead of the recorded one.
	QoS *byte
	// Window is how many messages may wait for their acknowledgement: 100, or fewer where the broker says so.
	Window int
	// From is the first line to play, from 1; 0 is the same as 1. Times count from the first message played.
	From int
	// Until is the last line to play; 0 plays to the end.
	Until int
	// Skip are topic filters of messages to leave out.
	Skip []string
	// Progress is called about every second, and at the end. OnAck is called with a line's number when its message was
	// acknowledged (QoS 1 and 2), in the order of the acknowledgements. Both must return soon.
	Progress func(Progress)
	OnAck    func(line int)
	// Logger is told of the beginning and the end. Nil means silence.
	Logger *slog.Logger
}

// Progress is how far it is.
type Progress struct {
	// Line is the last one read; At is when its message was recorded.
	Line int
	At   time.Duration
	// Sent and Acked messages, Skipped ones, and Bytes of payload sent.
	Sent, Acked, Skipped, Bytes int64
	Elapsed                     time.Duration
}

// Result is what was done, also when an error ended it.
type Result struct {
	Progress
	// Next is the line to go on from: all lines before it were sent, and acknowledged where their QoS has that.
	Next int
}

// Intervals.
const (
	keepAlive     = 30 * time.Second
	progressEvery = time.Second
	lastWords     = 2 * time.Second
	maxReply      = 256 << 10 // bytes of a packet from the broker, to somebody who subscribes to nothing
)

// player is one Run.
type player struct {
	opts Options
	rec  *recording
	link *client.Link
	room chan struct{} // a place for each message that may be under way
	fail context.CancelCauseFunc

	mu       sync.Mutex // guards what follows
	waiting  map[uint16]int
	nextID   uint16
	progress Progress
	pong     chan struct{}
}

// Run plays a recording to its end, or until ctx is done or something fails.
func Run(ctx context.Context, opts Options) (Result, error) {
	if err := opts.check(); err != nil {
		return Result{}, err
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	rec, err := openRecording(ctx, opts.File, opts.Stdin)
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = rec.close() }()
	link, err := opts.Broker.Link(ctx, &packets.Connect{ClientID: opts.ClientID, CleanStart: true, KeepAlive: uint16(keepAlive / time.Second),
		Properties: &packets.Properties{}}, maxReply)
	if err != nil {
		return Result{Next: max(opts.From, 1)}, fmt.Errorf("play: %w", err)
	}
	p := &player{opts: opts, rec: rec, link: link, fail: fail, waiting: map[uint16]int{}, pong: make(chan struct{}, 1)}
	return p.run(ctx)
}

// check refuses what cannot be.
func (o *Options) check() error {
	switch {
	case o.File == "":
		return errors.New("play: no recording is given: name a file, or - for standard input")
	case o.Speed < 0 || math.IsNaN(o.Speed) || math.IsInf(o.Speed, 0):
		return fmt.Errorf("play: speed is %v: use 1 for the recording's own pace, more for faster, 0 for as fast as it goes", o.Speed)
	case o.QoS != nil && *o.QoS > 2:
		return fmt.Errorf("play: QoS is %d: use 0, 1 or 2", *o.QoS)
	case o.Window < 0 || o.Window > 65535:
		return fmt.Errorf("play: window is %d: use 1 to 65535, or 0 for 100", o.Window)
	case o.From < 0:
		return fmt.Errorf("play: first line is %d: lines count from 1", o.From)
	case o.Until < 0 || o.Until > 0 && o.Until < o.From:
		return fmt.Errorf("play: last line is %d: it is not after the first one", o.Until)
	}
	for _, f := range o.Skip {
		if err := mqtt.ValidFilter(f); err != nil {
			return fmt.Errorf("play: skip: %w", err)
		}
	}
	return nil
}

// run is Run on an open connection. live ends with whatever fails first.
func (p *player) run(live context.Context) (Result, error) {
	window := p.opts.Window
	if window == 0 {
		window = 100
	}
	if most := p.link.Hail.Properties.ReceiveMaximum; most != nil {
		window = min(window, int(*most))
	}
	p.room = make(chan struct{}, window)
	began := time.Now()
	p.opts.Logger.Info("play: begins", "file", p.rec.name, "broker", p.opts.Broker.URL, "from", max(p.opts.From, 1))
	var wg sync.WaitGroup
	stop := context.AfterFunc(live, p.link.Interrupt)
	wg.Go(func() { p.listen(live) })
	wg.Go(func() { p.tick(live, began) })
	err := p.play(live, began)
	if err == nil {
		err = p.settle(live)
	}
	if err != nil && live.Err() != nil {
		err = context.Cause(live) // whatever failed first
	}
	p.fail(nil)
	stop()
	wg.Wait()
	if err == nil {
		_ = p.link.Write(&packets.Disconnect{Properties: &packets.Properties{}})
	}
	_ = p.link.Close()
	res := p.result(began)
	if p.opts.Progress != nil {
		p.opts.Progress(res.Progress)
	}
	if err != nil {
		err = p.explain(err, res)
	}
	p.opts.Logger.Info("play: ended", "file", p.rec.name, "sent", res.Sent, "acked", res.Acked, "elapsed", res.Elapsed, "error", err)
	return res, err
}

// lineError is an error that says its line itself.
type lineError struct{ error }

func (e lineError) Unwrap() error { return e.error }

// explain says where it ended and how to go on.
func (p *player) explain(err error, res Result) error {
	var le lineError
	if errors.As(err, &le) {
		return fmt.Errorf("%w (go on from line %d)", le.error, res.Next)
	}
	return fmt.Errorf("play: %s:%d: %w (go on from line %d)", p.rec.name, res.Line, err, res.Next)
}

// result is what was done so far.
func (p *player) result(began time.Time) Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	res := Result{Progress: p.progress, Next: max(p.progress.Line+1, p.opts.From, 1)}
	res.Elapsed = time.Since(began)
	for _, line := range p.waiting {
		res.Next = min(res.Next, line)
	}
	return res
}

// play publishes line by line.
func (p *player) play(ctx context.Context, began time.Time) error {
	var first time.Duration
	for n := 0; ; n++ {
		r, err := p.rec.next(p.opts.From)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return lineError{err}
		}
		if p.opts.Until > 0 && p.rec.line > p.opts.Until {
			return nil
		}
		if n == 0 {
			first, began = r.At, time.Now()
		}
		if err := p.pace(ctx, began, r.At-first); err != nil {
			return err
		}
		if slices.ContainsFunc(p.opts.Skip, func(f string) bool { return mqtt.Match(f, r.Topic) }) {
			p.mu.Lock()
			p.progress.Skipped++
			p.progress.Line, p.progress.At = p.rec.line, r.At
			p.mu.Unlock()
			continue
		}
		if err := p.publish(ctx, r); err != nil {
			return err
		}
	}
}

// pace waits until a message's time has come.
func (p *player) pace(ctx context.Context, began time.Time, at time.Duration) error {
	if p.opts.Speed == 0 {
		return ctx.Err()
	}
	wait := time.Until(began.Add(time.Duration(float64(at) / p.opts.Speed)))
	if wait <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// publish sends a message, when there is room for it.
func (p *player) publish(ctx context.Context, r Record) error {
	pk := &packets.Publish{Topic: r.Topic, Payload: r.Payload, QoS: r.QoS, Retain: r.Retain, Properties: &packets.Properties{}}
	if p.opts.QoS != nil {
		pk.QoS = *p.opts.QoS
	}
	if err := p.fits(r); err != nil {
		return lineError{p.rec.at(err)}
	}
	if pk.QoS > 0 {
		select {
		case p.room <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.mu.Lock()
	if pk.QoS > 0 {
		pk.PacketID = p.idLocked()
		p.waiting[pk.PacketID] = p.rec.line
	}
	p.progress.Line, p.progress.At = p.rec.line, r.At
	p.mu.Unlock()
	if err := p.link.Write(pk); err != nil {
		p.mu.Lock()
		if pk.QoS == 0 {
			p.progress.Line-- // it was not sent
		}
		p.mu.Unlock()
		return p.lost(ctx, err)
	}
	p.mu.Lock()
	p.progress.Sent++
	p.progress.Bytes += int64(len(r.Payload))
	p.mu.Unlock()
	return nil
}

// lost is for a write that failed: what the broker had said before, acknowledgements and its reason, is still to be read.
func (p *player) lost(ctx context.Context, err error) error {
	t := time.NewTimer(lastWords)
	defer t.Stop()
	select {
	case <-ctx.Done(): // the listener came to the end, and said why
	case <-t.C:
	}
	return fmt.Errorf("connection lost: %w", err)
}

// fits asks whether the broker takes packets of a message's size.
func (p *player) fits(r Record) error {
	most := p.link.Hail.Properties.MaximumPacketSize
	if size := len(r.Payload) + len(r.Topic) + 12; most != nil && uint64(size) > uint64(*most) {
		return fmt.Errorf("a message of %d bytes on %q; the broker takes packets of at most %d", size, r.Topic, *most)
	}
	return nil
}

// idLocked is the next free packet id.
func (p *player) idLocked() uint16 {
	for {
		p.nextID++
		if _, used := p.waiting[p.nextID]; !used && p.nextID != 0 {
			return p.nextID
		}
	}
}

// settle waits for all acknowledgements, and until the broker has taken what has none.
func (p *player) settle(ctx context.Context) error {
	for range cap(p.room) {
		select {
		case p.room <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-p.pong:
	default:
	}
	if err := p.link.Write(&packets.Pingreq{}); err != nil {
		return fmt.Errorf("connection lost: %w", err)
	}
	select {
	case <-p.pong:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// listen takes the broker's answers until the connection ends.
func (p *player) listen(ctx context.Context) {
	for {
		pk, err := p.link.Read(keepAlive * 3 / 2)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = p.answer(pk)
		} else {
			err = fmt.Errorf("connection lost: %w", err)
		}
		if err != nil {
			p.fail(err)
			return
		}
	}
}

// answer takes one of them.
func (p *player) answer(pk *packets.ControlPacket) error {
	switch a := pk.Content.(type) {
	case *packets.Puback:
		return p.acked(a.PacketID, a.ReasonCode, a.Properties.ReasonString)
	case *packets.Pubrec:
		if a.ReasonCode >= 0x80 {
			return p.acked(a.PacketID, a.ReasonCode, a.Properties.ReasonString)
		}
		if err := p.link.Write(&packets.Pubrel{PacketID: a.PacketID, Properties: &packets.Properties{}}); err != nil {
			return fmt.Errorf("connection lost: %w", err)
		}
	case *packets.Pubcomp:
		return p.acked(a.PacketID, a.ReasonCode, a.Properties.ReasonString)
	case *packets.Pingresp:
		select {
		case p.pong <- struct{}{}:
		default:
		}
	case *packets.Disconnect:
		return errors.New(strings.TrimSpace(fmt.Sprintf("the broker ended the connection (code %#x) %s", a.ReasonCode, a.Properties.ReasonString)))
	default:
		return fmt.Errorf("the broker sent a packet of type %d", pk.Type)
	}
	return nil
}

// acked takes a message off those that wait.
func (p *player) acked(id uint16, code byte, reason string) error {
	p.mu.Lock()
	line, ok := p.waiting[id]
	if ok && code < 0x80 {
		delete(p.waiting, id)
		p.progress.Acked++
	}
	p.mu.Unlock()
	switch {
	case !ok:
		return fmt.Errorf("the broker acknowledged packet %d, which does not wait", id)
	case code >= 0x80:
		return lineError{fmt.Errorf("play: %s:%d: the broker refused the message (code %#x) %s", p.rec.name, line, code, reason)}
	}
	if p.opts.OnAck != nil {
		p.opts.OnAck(line)
	}
	<-p.room
	return nil
}

// tick keeps the connection alive and reports.
func (p *player) tick(ctx context.Context, began time.Time) {
	t := time.NewTicker(progressEvery)
	defer t.Stop()
	for n := 1; ; n++ {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if n%int(keepAlive/2/progressEvery) == 0 {
			if err := p.link.Write(&packets.Pingreq{}); err != nil {
				p.fail(fmt.Errorf("connection lost: %w", err))
				return
			}
		}
		if p.opts.Progress != nil {
			p.opts.Progress(p.result(began).Progress)
		}
	}
}
