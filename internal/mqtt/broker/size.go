package broker

// propertyCost is what a user property takes beside its name and value, in memory as well as in the file: without it, empty ones would
// take room that nobody counts.
const propertyCost = 32

// size is what a message counts for in the limits of queues and of what is retained: its topic, its payload, and its properties. What is left of
// one whose PUBREL is awaited is its topic.
func (m message) size() int {
	n := len(m.Topic) + len(m.Payload)
	if p := m.Props; p != nil {
		n += len(p.ContentType) + len(p.ResponseTopic) + len(p.Correlation)
		for _, u := range p.User {
			n += propertyCost + len(u.Key) + len(u.Val)
		}
	}
	return n
}
