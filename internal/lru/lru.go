// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lru keeps values in memory within a number of bytes: where it is exceeded,
// what was not used for longest goes first.
package lru

import (
	"container/list"
	"sync"
)

// Cache is safe for concurrent use. Make one with New.
type Cache[K comparable, V any] struct {
	max int

	mu    sync.Mutex
	known map[K]*list.Element // of *entry[K, V]
	used  list.List           // front: used last
	bytes int
}

type entry[K comparable, V any] struct {
	key   K
	value V
	size  int
}

// New makes a cache of at most so many bytes.
func New[K comparable, V any](max int) *Cache[K, V] {
	return &Cache[K, V]{max: max, known: map[K]*list.Element{}}
}

// Get returns a value, which counts as used now.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element := c.known[key]
	if element == nil {
		return value, false
	}
	c.used.MoveToFront(element)
	return element.Value.(*entry[K, V]).value, true
}

// Put keeps a value of so many bytes, in place of the one before.
func (c *Cache[K, V]) Put(key K, value V, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(c.known[key])
	if size > c.max {
		return
	}
	c.known[key] = c.used.PushFront(&entry[K, V]{key, value, size})
	c.bytes += size
	for c.bytes > c.max {
		c.remove(c.used.Back())
	}
}

// Drop forgets a value.
func (c *Cache[K, V]) Drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(c.known[key])
}

// Size is how many bytes are kept.
func (c *Cache[K, V]) Size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

func (c *Cache[K, V]) remove(element *list.Element) {
	if element == nil {
		return
	}
	gone := c.used.Remove(element).(*entry[K, V])
	delete(c.known, gone.key)
	c.bytes -= gone.size
}
