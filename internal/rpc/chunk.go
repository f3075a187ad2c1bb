package rpc

import (
	"google.golang.org/protobuf/proto"
)

const (
	// chunkItems and chunkBytes are how much one message of a list has, about.
	chunkItems = 500
	chunkBytes = 256 << 10
)

// chunks gathers the items of a list into messages.
type chunks[T proto.Message] struct {
	send  func([]T) error
	items []T
	bytes int
}

// add adds an item, and sends a message where it is full.
func (c *chunks[T]) add(item T) error {
	c.items = append(c.items, item)
	if c.bytes += proto.Size(item); len(c.items) < chunkItems && c.bytes < chunkBytes {
		return nil
	}
	return c.flush()
}

// flush sends what is there, which may be nothing.
func (c *chunks[T]) flush() error {
	items := c.items
	c.items, c.bytes = nil, 0
	return c.send(items)
}

// rest sends what is there, if anything is.
func (c *chunks[T]) rest() error {
	if len(c.items) == 0 {
		return nil
	}
	return c.flush()
}
