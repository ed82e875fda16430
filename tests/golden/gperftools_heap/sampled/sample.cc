#include <gperftools/malloc_extension.h>
#include <iostream>
#include <string>
#include <vector>
std::vector<char *> kept;
__attribute__((noinline)) void keep(int n) { kept.push_back(new char[n]); }
int main() {
  for (int i = 0; i < 20000; i++) keep(i % 2 ? 100 : 3000);
  std::string text;
  MallocExtension::instance()->GetHeapSample(&text);
  std::cout << text;
}
