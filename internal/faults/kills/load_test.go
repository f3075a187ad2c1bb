package kills

import (
	"io"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/statehouse/statehouse/internal/faults"
)

// A device that cannot go on before the program is killed is a failure, one that is cut off by the kill is none.
func TestBrokenBeforeTheKill(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	go func() {
		for { // a broker that takes a client and nothing from it
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "\x20\x02\x00\x00")
			_ = c.Close()
		}
	}()
	for left, want := range map[int64]int{10: 1, 0: 0} {
		l := &load{h: newHouse("", "", rand.New(rand.NewPCG(1, 1))), enough: make(chan struct{})}
		l.left.Store(left)
		l.publish(t.Context(), &faults.Program{MQTT: ln.Addr().String()}, 0, 4)
		if len(l.errs) != want {
			t.Errorf("%d acknowledgements before the kill: %v", left, l.errs)
		}
	}
}
