#include <cstdlib>
#include <vector>
#include <string>
#include <dlfcn.h>
struct Node { Node *n; char pad[100]; };
static Node *head;
__attribute__((noinline)) static void leak(int i) { Node *x = new Node; x->n = head; head = x; (void)i; }
int main() {
  std::vector<std::string> v;
  for (int i = 0; i < 1000; i++) { leak(i); v.push_back(std::string(50, 'x')); free(malloc(10)); }
  return 0;
}
