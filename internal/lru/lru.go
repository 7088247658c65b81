// Copyright The TokenKeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lru keeps values in memory within a number of bytes. Where it is exceeded, the
// owner that holds most loses what it has not used for longest: so nobody's values drive
// out those of others that hold less.
package lru

import (
	"container/list"
	"sync"
)

// Cache is safe for concurrent use. Make one with New.
type Cache[K comparable, V any] struct {
	max   int
	owner func(K, V) string

	mu     sync.Mutex
	known  map[K]*list.Element // of *entry[K, V]
	owners map[string]*holding
	bytes  int
}

type entry[K comparable, V any] struct {
	key   K
	value V
	size  int
	of    *holding
}

// holding is what an owner has in the cache.
type holding struct {
	owner string
	used  list.List // front: used last
	bytes int
}

// New makes a cache of at most so many bytes; owner says whose an entry is. nil: all
// are of one owner.
func New[K comparable, V any](limit int, owner func(K, V) string) *Cache[K, V] {
	if owner == nil {
		owner = func(K, V) string { return "" }
	}
	return &Cache[K, V]{max: limit, owner: owner, known: map[K]*list.Element{}, owners: map[string]*holding{}}
}

// Get returns a value, which counts as used now.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element := c.known[key]
	if element == nil {
		return value, false
	}
	known := element.Value.(*entry[K, V])
	known.of.used.MoveToFront(element)
	return known.value, true
}

// Put keeps a value of so many bytes, in place of the one before.
func (c *Cache[K, V]) Put(key K, value V, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(c.known[key])
	if size > c.max {
		return
	}
	owner := c.owner(key, value)
	of := c.owners[owner]
	if of == nil {
		of = &holding{owner: owner}
		c.owners[owner] = of
	}
	c.known[key] = of.used.PushFront(&entry[K, V]{key, value, size, of})
	of.bytes += size
	c.bytes += size
	for c.bytes > c.max {
		c.remove(c.largest().used.Back())
	}
}

// largest is the owner that holds most. To look at all takes microseconds, and is done
// only where a value has been read from the API server for which there is no room.
func (c *Cache[K, V]) largest() *holding {
	var largest *holding
	for _, of := range c.owners {
		if largest == nil || of.bytes > largest.bytes {
			largest = of
		}
	}
	return largest
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
	gone := element.Value.(*entry[K, V])
	of := gone.of
	of.used.Remove(element)
	delete(c.known, gone.key)
	of.bytes -= gone.size
	c.bytes -= gone.size
	if of.used.Len() == 0 {
		delete(c.owners, of.owner)
	}
}
