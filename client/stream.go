package client

import (
	"context"
	"iter"

	"connectrpc.com/connect"
)

// stream yields what the messages of a stream have.
func stream[M, T any](ctx context.Context, open func(context.Context) (*connect.ServerStreamForClient[M], error), items func(*M) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		// Whoever breaks off ends the stream, and does not wait for what the server still sends.
		asked := ctx
		ctx, cancel := context.WithCancel(ctx)
		s, err := open(ctx)
		if err != nil {
			cancel()
			yield(none, errorOf(asked, err))
			return
		}
		defer func() { _ = s.Close() }()
		defer cancel()
		for s.Receive() {
			all, err := items(s.Msg())
			for _, item := range all {
				if !yield(item, nil) {
					return
				}
			}
			if err != nil {
				yield(none, err)
				return
			}
		}
		if err := errorOf(asked, s.Err()); err != nil {
			yield(none, err)
		}
	}
}

// convert converts each of some items.
func convert[A, B any](items []A, f func(A) B) []B {
	out := make([]B, len(items))
	for i, item := range items {
		out[i] = f(item)
	}
	return out
}
