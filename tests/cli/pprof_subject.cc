// What pprof's arithmetic can be got wrong on: recursion, mutual recursion, templates, overloads, frees, allocators in the stack.
#include <gperftools/heap-profiler.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#define APART __attribute__((noinline))

struct Node {
  Node* next;
  char data[1000];
};
static Node* head;
static void* kept[20000];
static int count;

static void keep(void* block) { kept[count++] = block; }

APART char* grab(size_t size) {
  char* block = (char*)malloc(size);
  memset(block, 1, size);
  return block;
}
APART void deep(int left) {
  char* block = grab(50000);
  keep(block);
  if (left > 0) deep(left - 1);
  left++;
}
APART void even(int left);
APART void odd(int left) {
  keep(grab(30000 + left));
  if (left) even(left - 1);
  left++;
}
APART void even(int left) {
  keep(calloc(1, 20000));
  if (left) odd(left - 1);
  left++;
}
APART void store(int) { keep(new char[300000]); }
APART void store(double) { keep(new char[400000]); }
APART void crumb() { keep(malloc(100)); }
APART void push(int blocks) {
  for (int i = 0; i < blocks; i++) {
    Node* node = new Node;
    node->next = head;
    head = node;
  }
}
APART void pop(int blocks) {
  for (int i = 0; i < blocks && head; i++) {
    Node* node = head;
    head = node->next;
    delete node;
  }
}
namespace app {
template <class T>
struct Pile {
  std::vector<T> all;
  APART void add(int times) {
    for (int i = 0; i < times; i++) all.push_back(T());
  }
};
struct Cache {
  std::map<int, std::string> all;
  APART void put(int key) { all[key] = std::string(2000, 'x'); }
};
}  // namespace app

int main(int, char** arguments) {
  HeapProfilerStart(arguments[1]);
  app::Cache cache;
  app::Pile<int> small;
  app::Pile<double> large;
  push(4000);
  for (int i = 0; i < 12; i++) deep(i);
  for (int i = 0; i < 500; i++) cache.put(i);
  HeapProfilerDump("one");
  for (int i = 0; i < 20; i++) {
    even(i);
    odd(i);
  }
  store(1);
  crumb();
  store(1.0);
  pop(3500);
  small.add(300000);
  large.add(200000);
  for (int i = 500; i < 2500; i++) cache.put(i);
  HeapProfilerDump("two");
  HeapProfilerStop();
  return 0;
}
